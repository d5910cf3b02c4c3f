import Polls

@testable import Ledger

let poll = PollID(7)!

func ballot(_ number: Int, poll: PollID = poll) -> Ballot {
    Ballot(
        key: BallotKey(poll: poll, voter: VoterKey(high: 0, low: UInt64(number))), pollID: poll,
        id: Int64(number), choices: Choices(mask: 1), edition: 1, allowsChange: false,
        voter: "voter \(number)", castAt: 0, ticket: Ticket(loop: 0, number: UInt32(number)))
}

func ballots(_ numbers: some Sequence<Int>) -> [Ballot] { numbers.map { ballot($0) } }

/// Ballot n may wait until n.
func waiting(_ numbers: some Sequence<Int>) -> WaitingBallots {
    var waiting = WaitingBallots()
    for number in numbers { waiting.append(ballot(number), deadline: Int64(number)) }
    return waiting
}

func answer(_ number: Int, _ outcome: BallotOutcome) -> SettledBallot {
    let ballot = ballot(number)
    return SettledBallot(
        ticket: ballot.ticket, pollID: ballot.pollID, key: ballot.key, outcome: outcome)
}

func counted(_ numbers: some Sequence<Int>) -> [BallotOutcome] {
    numbers.map { .counted(revision: Int64($0)) }
}

/// SplitMix64: the same numbers from the same seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

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

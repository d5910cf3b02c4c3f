import Polls
import Testing

struct PollTests {
    @Test func `an id fits into six bytes of a key`() {
        #expect(PollID(0) == nil)
        #expect(PollID(-1) == nil)
        #expect(PollID(1 << 47) == nil)
        #expect(PollID(1)?.rawValue == 1)
        #expect(PollID((1 << 47) - 1)?.rawValue == (1 << 47) - 1)
    }

    @Test func `keys sort by poll, and one poll is one range`() {
        let voters = [
            VoterKey(high: 0, low: 0), VoterKey(high: 0, low: .max), VoterKey(high: .max, low: 0),
            VoterKey(high: .max, low: .max),
        ]
        let polls = [1, 2, 255, 256, 1 << 20, (1 << 47) - 1].map { PollID($0)! }
        let keys = polls.flatMap { poll in voters.map { BallotKey(poll: poll, voter: $0) } }
        #expect(keys == keys.sorted())
        #expect(Set(keys).count == keys.count)
    }

    @Test func `a key keeps all sixteen bytes`() {
        let key = BallotKey(
            poll: PollID(0x0102_0304_0506)!,
            voter: VoterKey(high: 0x0708, low: 0x090a_0b0c_0d0e_0f10))
        #expect(key.high == 0x0102_0304_0506_0708)
        #expect(key.low == 0x090a_0b0c_0d0e_0f10)
        #expect(BallotKey(high: key.high, low: key.low) == key)
    }

    @Test func `a revision grows, and never falls behind the clock`() {
        #expect(Tally.nextRevision(after: 5, now: 3) == 6)
        #expect(Tally.nextRevision(after: 5, now: 5) == 6)
        #expect(Tally.nextRevision(after: 5, now: 900) == 900)
    }

    @Test func `the highest revision wins in whatever order tallies come`() {
        let id = PollID(1)!
        let tallies = (1...6).map {
            Tally(pollID: id, revision: $0, ballots: $0, counts: [$0], at: 0)
        }
        for _ in 0..<100 {
            var held = Tally(pollID: id, revision: 0, ballots: 0, counts: [0], at: 0)
            for tally in (tallies + tallies).shuffled() where tally.isNewer(than: held) {
                #expect(tally.ballots > held.ballots)
                held = tally
            }
            #expect(held == tallies.last)
        }
    }

    @Test func `choices add their weight to the marked options alone`() {
        var counts: [Int64] = [0, 0, 0, 0]
        Choices(mask: 0b1010).add(1, to: &counts)
        Choices(mask: 0b0010).add(1, to: &counts)
        Choices(mask: 0b1010).add(-1, to: &counts)
        #expect(counts == [0, 1, 0, 0])
    }

    @Test func `counts are hidden as long as the host wants`() {
        for (results, whileOpen) in [
            (ResultsVisibility.live, true), (.afterVote, false), (.afterClose, false),
        ] {
            var poll = Samples.poll()
            poll.results = results
            #expect(poll.showsCountsToEverybody == whileOpen)
            poll.closedAt = 9
            #expect(poll.showsCountsToEverybody)
        }
    }
}

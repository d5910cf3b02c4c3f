import Polls
import TestRandom
import Testing

@testable import Store

struct CountsTextTests {
    @Test(arguments: [[], [0], [11, 4], [Int64.max, 0, 1], Array(repeating: 7, count: 63)])
    func `counts survive their text`(counts: [Int64]) {
        #expect(CountsText.decode(CountsText.encode(counts).utf8) == counts)
    }

    @Test func `counts read as JSON`() { #expect(CountsText.encode([11, 4]) == "[11,4]") }

    @Test(arguments: [
        "", "[", "]", "[,]", "[1,]", "[,1]", "1]", "[1", "[1]]", "[1][", "[-1]", "[1 ]", "[1.0]",
        "[9223372036854775808]", "[[1]]", "null", "[1],",
    ])
    func `other text is refused`(text: String) { #expect(CountsText.decode(text.utf8) == nil) }
}

struct VoterRecordTests {
    private func ballot(id: Int64, mask: UInt64) throws -> Ballot {
        let poll = try #require(PollID(1))
        return Ballot(
            key: BallotKey(poll: poll, voter: VoterKey(high: 0, low: 0)), pollID: poll, id: id,
            choices: Choices(mask: mask), edition: 0, allowsChange: true, voter: "", castAt: 0,
            ticket: nil)
    }

    @Test(arguments: [false, true])
    func `the rule for a next ballot`(allowsChange: Bool) throws {
        typealias Verdict = VoterRecord.Verdict
        let stored = VoterRecord(ballotID: 5, choices: Choices(mask: 1))
        let cases: [(id: Int64, mask: UInt64, verdict: Verdict)] = [
            (5, 1, .counted), (5, 2, .counted), (6, 1, .repeated),
            (6, 2, allowsChange ? .changed : .alreadyVoted),
        ]
        for (id, mask, verdict) in cases {
            var record = stored
            #expect(
                try record.take(ballot(id: id, mask: mask), allowsChange: allowsChange) == verdict)
            #expect((record != stored) == (verdict == .changed))
            if verdict == .changed { #expect(record.ballotID == id && record.choices.mask == mask) }
        }
    }
}

struct SortedBatchTests {
    @Test func `polls ascend, voters ascend, a voter's ballots keep their order`() throws {
        var generator = SeededGenerator(seed: 7)
        for count in [0, 1, 2, 50, 1000] {
            let ballots = try (0..<count).map { number in
                let poll = try #require(PollID(Int64.random(in: 1...5, using: &generator)))
                let voter = VoterKey(
                    high: UInt16.random(in: 0...2, using: &generator),
                    low: UInt64.random(in: 0...20, using: &generator))
                return Ballot(
                    key: BallotKey(poll: poll, voter: voter), pollID: poll, id: Int64(number),
                    choices: Choices(mask: 1), edition: 0, allowsChange: true, voter: "",
                    castAt: 0, ticket: nil)
            }
            let batch = SortedBatch(ballots)
            #expect(batch.entries.map(\.index).sorted() == Array(0..<count))
            var polls: [PollID] = []
            batch.forEachPoll { entries in
                polls.append(ballots[entries.first!.index].pollID)
                #expect(Set(entries.map { ballots[$0.index].pollID }).count == 1)
                var voters: [BallotKey] = []
                SortedBatch.forEachVoter(of: entries) { entries in
                    voters.append(entries.first!.key)
                    #expect(Set(entries.map(\.key)).count == 1)
                    #expect(entries.map(\.index) == entries.map(\.index).sorted())
                }
                #expect(voters == Set(voters).sorted())
            }
            #expect(polls == Set(polls).sorted())
        }
    }
}

import Identity
import Polls
import Testing

@testable import Relay

struct RelayMessageTests {
    private let seal = RelaySeal(key: Array(repeating: 1, count: 32))
    private let node = NodeID()

    private func tally(_ counts: [Int64] = [1, 2]) -> Tally {
        Tally(
            pollID: PollID(42)!, revision: 1_766_490_000_123, ballots: 3, counts: counts,
            at: 1_766_490_000_120)
    }

    @Test func `what is said is what is heard`() throws {
        let messages: [RelayMessage] = [
            .tally(tally()), .tally(tally(Array(repeating: .max, count: Choices.optionLimit))),
            .viewers(PollID(1)!, count: 0), .viewers(PollID(1)!, count: 1_000_000),
            .changed(PollID(42)!), .alive,
            .counted(VoteNotice(pollID: PollID(42)!, position: 62, voter: "")),
            .voted(PollID(42)!, [VoterKey(high: 1, low: 2), VoterKey(high: .max, low: .max)]),
            .voted(
                PollID((1 << 47) - 1)!,
                Array(repeating: VoterKey(high: 0, low: 0), count: RelayMessage.voterLimit)),
            .counted(
                VoteNotice(
                    pollID: PollID(42)!, position: 0,
                    voter: String(repeating: "\u{1F600}", count: 200))),
        ]
        for message in messages {
            let bytes = message.encoded(by: node, with: seal)
            let heard = try #require(RelayMessage.decode(bytes, with: seal))
            #expect(heard.0 == message)
            #expect(heard.from == node)
            #expect(bytes.count <= RelayMessage.byteLimit)
        }
    }

    @Test func `no byte of a message can be changed, left out or doubled`() {
        let bytes = RelayMessage.tally(tally()).encoded(by: node, with: seal)
        for index in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[index] ^= 1 << bit
                #expect(RelayMessage.decode(changed, with: seal) == nil)
            }
            var shorter = bytes
            shorter.remove(at: index)
            #expect(RelayMessage.decode(shorter, with: seal) == nil)
            var longer = bytes
            longer.insert(bytes[index], at: index)
            #expect(RelayMessage.decode(longer, with: seal) == nil)
        }
    }

    @Test func `a seal of another database is none`() {
        let other = RelaySeal(key: Array(repeating: 2, count: 32))
        let bytes = RelayMessage.alive.encoded(by: node, with: other)
        #expect(RelayMessage.decode(bytes, with: seal) == nil)
        #expect(seal.clusterName != other.clusterName)
    }

    @Test(
        arguments: [
            "2 alive 0123456789abcdef ", "1 alive 0123456789abcdef 1 ", "1 alive xyz ",
            "1 shout 0123456789abcdef ", "1 changed 0123456789abcdef 0 ",
            "1 changed 0123456789abcdef -1 ", "1 viewers 0123456789abcdef 1 -1 ",
            "1 tally 0123456789abcdef 1 2 -3 4 1,2 ", "1 tally 0123456789abcdef 1 2 3 4 1,-2 ",
            "1 tally 0123456789abcdef 1 2 3 4 , ", "1 tally 0123456789abcdef 1 2 3 1,2 ",
            "1 tally 0123456789abcdef 1 2 3 99999999999999999999 1,2 ", "1 ", "",
            "1 tally 0123456789abcdef 1 2 3 4 1"
                + String(repeating: ",1", count: Choices.optionLimit) + " ",
        ])
    func `a sealed message that makes no sense is ignored`(text: String) {
        let bytes = Array(text.utf8)
        #expect(RelayMessage.decode(bytes + seal.seal(bytes), with: seal) == nil)
    }
}

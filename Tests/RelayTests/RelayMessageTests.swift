import Identity
import Polls
import TestRandom
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
            // Read in part, it would be the counts of other options.
            "1 tally 0123456789abcdef 1 2 3 4 1,,2 ", "1 tally 0123456789abcdef 1 2 3 4 1,x,2 ",
            "1 tally 0123456789abcdef 1 2 3 4 ,1,2 ", "1 tally 0123456789abcdef 1 2 3 4 1,2, ",
            // No gateway writes these so.
            "1 changed 0123456789abcdef +1 ", "1 changed 0123456789abcdef 01 ",
            "1 alive +123456789abcdef ", "1 alive 0123456789ABCDEF ", "1 alive  0123456789abcdef ",
            " 1 alive 0123456789abcdef ", "1 alive 0123456789abcdef",
            "1 viewers 0123456789abcdef 1 -0 ",
            "1 voted 0123456789abcdef 1 0000000000000000000A ",
            "1 counted 0123456789abcdef 1 0 C3. ",
        ])
    func `a sealed message that makes no sense is ignored`(text: String) {
        let bytes = Array(text.utf8)
        #expect(RelayMessage.decode(bytes + seal.seal(bytes), with: seal) == nil)
    }

    /// As a gateway of another version, or one that lies with the right key, may say anything.
    @Test func `whatever is sealed is ignored or is what a gateway says`() throws {
        let texts = [
            RelayMessage.tally(tally()), .alive, .changed(PollID(42)!),
            .counted(VoteNotice(pollID: PollID(42)!, position: 62, voter: "Ada \u{1F600}")),
            .voted(PollID(42)!, [VoterKey(high: 1, low: 2), VoterKey(high: .max, low: .max)]),
        ].map { message in
            let sealed = message.encoded(by: node, with: seal)
            return Array(sealed.dropLast(seal.seal([]).count))
        }
        // What tells numbers, words and lists apart, and what no text holds.
        let pieces = Array("0129 ,-+.x\u{0}".utf8) + [0xFF, 0xC3]
        var random = SeededGenerator(seed: 1)
        var heardCount = 0
        for _ in 0..<4_000 {
            var text = texts.randomElement(using: &random)!
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let index = Int.random(in: 0..<text.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: text[index] = pieces.randomElement(using: &random)!
                case 1: text.insert(pieces.randomElement(using: &random)!, at: index)
                case 2: if text.count > 1 { text.remove(at: index) }
                default: text.insert(contentsOf: text[index...].prefix(8), at: index)
                }
            }
            let sealed = text + seal.seal(text)
            guard let heard = RelayMessage.decode(sealed, with: seal) else { continue }
            heardCount += 1
            #expect(heard.0.encoded(by: heard.from, with: seal) == sealed)
        }
        #expect(heardCount > 100)
    }
}

import Testing

@testable import Identity

struct RandomTests {
    @Test func `join codes use every character equally often`() {
        var frequency: [UInt8: Int] = [:]
        let codeCount = 20_000
        for _ in 0..<codeCount {
            let code = Array(JoinCode.generate().utf8)
            #expect(code.count == 6)
            for character in code { frequency[character, default: 0] += 1 }
        }
        #expect(Set(frequency.keys) == Set(JoinCode.alphabet))
        // Binomial: the standard deviation is 62 of 4,000; eight of them never happen by chance.
        for (character, count) in frequency {
            #expect(abs(count - codeCount * 6 / 30) < 500, "\(character)")
        }
    }

    @Test func `the alphabet has no look-alikes`() {
        #expect(Set(JoinCode.alphabet).count == 30)
        #expect(Set(JoinCode.alphabet).isDisjoint(with: Set("01OILU".utf8)))
    }

    @Test func `bytes come in any number, and differ`() {
        for count in [0, 1, 16, 255, 256, 257, 100_000] {
            #expect(Random.bytes(count).count == count)
        }
        #expect(Random.bytes(32) != Random.bytes(32))
    }

    @Test func `numbers are positive and differ`() {
        let numbers = (0..<10_000).map { _ in Random.int64() }
        #expect(Set(numbers).count == 10_000)
        #expect(numbers.allSatisfy { $0 > 0 })
    }

    @Test func `ballot ids of many sequences are positive and differ`() {
        var ids = Set<Int64>()
        for _ in 0..<8 {
            var sequence = BallotIDs()
            for _ in 0..<20_000 { ids.insert(sequence.next()) }
        }
        #expect(ids.count == 160_000)
        #expect(ids.allSatisfy { $0 > 0 })
    }
}

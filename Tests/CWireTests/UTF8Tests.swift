import CWire
import TestRandom
import Testing

@Suite struct UTF8Tests {
    static let valid: [[UInt8]] = [
        [], [0x00], [0x7f], Array("plain text, longer than a word".utf8), [0xc2, 0x80],
        [0xdf, 0xbf], [0xe0, 0xa0, 0x80], [0xed, 0x9f, 0xbf], [0xee, 0x80, 0x80],
        [0xef, 0xbb, 0xbf], [0xef, 0xbf, 0xbf], [0xf0, 0x90, 0x80, 0x80],
        [0xf3, 0xbf, 0xbf, 0xbf], [0xf4, 0x8f, 0xbf, 0xbf], Array("κόσμε 🎉 ascii 日本語".utf8),
    ]

    static let invalid: [[UInt8]] = [
        [0x80], [0xbf], [0xc0, 0x80], [0xc0, 0xaf], [0xc1, 0xbf], [0xc2, 0x41], [0xc2, 0xc2],
        [0xe0, 0x80, 0x80], [0xe0, 0x9f, 0xbf], [0xe1, 0x41], [0xe1, 0x80, 0x41],
        [0xed, 0xa0, 0x80], [0xed, 0xbf, 0xbf], [0xf0, 0x80, 0x80, 0x80],
        [0xf0, 0x8f, 0xbf, 0xbf], [0xf1, 0x80, 0x80, 0x41], [0xf4, 0x90, 0x80, 0x80],
        [0xf5, 0x80, 0x80, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80], [0xfe], [0xff],
        Array("eight by".utf8) + [0xff], Array("ninety by".utf8) + [0xc0, 0x80],
    ]

    /// Whether the text is still good after the pieces that end at `ends`, and may end there.
    private func check(_ bytes: [UInt8], endingAt ends: some Sequence<Int>) -> (Bool, Bool) {
        var utf8 = ps_utf8()
        var start = 0
        var isGood = true
        for end in ends {
            isGood = withGuarded(bytes[start..<end]) { ps_utf8_feed(&utf8, $0, end - start) }
            start = end
        }
        return (isGood, ps_utf8_ends(&utf8))
    }

    @Test(arguments: valid)
    func `good text is good however it is cut`(bytes: [UInt8]) {
        #expect(withGuarded(bytes) { ps_utf8_valid($0, bytes.count) })
        #expect(check(bytes, endingAt: 0...bytes.count) == (true, true))
        for cut in 0...bytes.count {
            #expect(check(bytes, endingAt: [cut, bytes.count]) == (true, true))
            let wholeCharacters = String(validating: bytes[..<cut], as: UTF8.self) != nil
            #expect(check(bytes, endingAt: [cut]) == (true, wholeCharacters))
        }
    }

    @Test(arguments: invalid)
    func `bad text is bad however it is cut and stays so`(bytes: [UInt8]) {
        #expect(!withGuarded(bytes) { ps_utf8_valid($0, bytes.count) })
        for cut in 0...bytes.count {
            #expect(check(bytes + [0x41], endingAt: [cut, bytes.count + 1]) == (false, false))
        }
        var utf8 = ps_utf8()
        #expect(!ps_utf8_feed(&utf8, bytes + [0x41], bytes.count + 1))
        #expect(!ps_utf8_feed(&utf8, [0x41], 1))
    }

    @Test func `two bytes are judged as the standard library does, all of them`() {
        var disagreements = 0
        for pair in 0..<0x10000 {
            let bytes = [UInt8(pair >> 8), UInt8(pair & 0xff)]
            let expected = String(validating: bytes, as: UTF8.self) != nil
            if ps_utf8_valid(bytes, 2) != expected { disagreements += 1 }
        }
        #expect(disagreements == 0)
    }

    @Test func `random bytes near the borders are judged as the standard library does`() {
        let seed = printedSeed()
        var random = SeededGenerator(seed: seed)
        let border: [UInt8] = [
            0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0,
            0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
        ]
        for _ in 0..<20_000 {
            let count = Int.random(in: 1...12, using: &random)
            let bytes = (0..<count).map { _ in border.randomElement(using: &random)! }
            let expected = String(validating: bytes, as: UTF8.self) != nil
            #expect(ps_utf8_valid(bytes, count) == expected, "\(bytes), seed \(seed)")
        }
    }
}

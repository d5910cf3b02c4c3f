import CWire
import TestRandom
import Testing

/// What a chunked body came to.
struct DecodedBody: Equatable {
    var answer: CInt
    var data: [UInt8]
    /// Bytes consumed, all in all.
    var consumed: Int
}

/// Decodes the body as it comes in pieces that end at `ends`, each at an unreadable page.
func decodeChunks(_ body: [UInt8], endingAt ends: some Sequence<Int>) -> DecodedBody {
    var chunks = ps_http_chunks()
    var decoded = DecodedBody(answer: PS_PARTIAL.rawValue, data: [], consumed: 0)
    var start = 0
    for end in ends where decoded.answer == PS_PARTIAL.rawValue {
        let piece = body[start..<end]
        withGuarded(piece) { bytes in
            var (count, dataCount) = (piece.count, 0)
            decoded.answer = ps_http_chunks_decode(&chunks, bytes, &count, &dataCount)
            decoded.data += UnsafeBufferPointer(start: bytes, count: dataCount)
            decoded.consumed += count
            if decoded.answer == PS_PARTIAL.rawValue { #expect(count == piece.count) }
        }
        start = end
    }
    return decoded
}

@Suite struct HTTPChunksTests {
    static let accepted: [(String, String)] = [
        ("0\r\n\r\n", ""), ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("1\r\na\r\n2\r\nbc\r\n000\r\n\r\n", "abc"), ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("000000000000000a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("3;a\r\nabc\r\n0;b=c;d=\"e\\\";f\"\r\n\r\n", "abc"),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        ("1\r\na\r\n0\r\nContent-Length: 5\r\nHost:\r\nX: \t y\r\n\r\n", "a"),
    ]

    @Test(arguments: accepted)
    func `a right body is decoded, whole, in pieces and byte by byte`(body: String, data: String) {
        let bytes = Array(body.utf8)
        let expected = DecodedBody(
            answer: PS_DONE.rawValue, data: Array(data.utf8), consumed: bytes.count)
        #expect(decodeChunks(bytes, endingAt: [bytes.count]) == expected)
        #expect(decodeChunks(bytes, endingAt: 1...bytes.count) == expected)
        for cut in 0..<bytes.count {
            #expect(decodeChunks(bytes, endingAt: [cut]).answer == PS_PARTIAL.rawValue)
            #expect(decodeChunks(bytes, endingAt: [cut, bytes.count]) == expected)
        }
        // What follows belongs to the next request.
        let followed = bytes + Array("GET / HTTP".utf8)
        #expect(decodeChunks(followed, endingAt: [followed.count]) == expected)
    }

    static let refused = [
        "\r\n", " 5\r\n", "5 \r\n", "5\t\r\n", "0x5\r\n", "+5\r\n", "-1\r\n", "5_0\r\n", "g\r\n",
        ";a\r\n", "5\n", "5\rX", "5;\n", "5;\r\n", "5; a\r\n", "5 ;a\r\n", "5;a =b\r\n",
        "5;a=\r\n", "5;a=\"b\r\n", "5;a=\"\u{1}\"\r\n", "5;a=\"b\"c\r\n", "5;a\rX", "5;a\n",
        "5;a=b\nX", "00000000000000005\r\n", "8000000000000000\r\n", "ffffffffffffffff\r\n",
        "5\r\nhelloXX", "5\r\nhello\n", "5\r\nhello\rX", "5\r\nhello5\r\n", "1\r\naa",
        "0\r\n\rX", "0\r\n\n", "0\r\nX\r\n", "0\r\n: a\r\n", "0\r\n X: a\r\n", "0\r\nX : a\r\n",
        "0\r\nX: a\n", "0\r\nX: \u{0}", "0\r\nX: a\r\n b\r\n", "0\r\nX: a\rb",
        "0\r\nX: \(String(repeating: "a", count: 4096))",
    ]

    @Test(arguments: refused)
    func `a wrong body is refused, however it is cut`(body: String) {
        let bytes = Array(body.utf8)
        let whole = decodeChunks(bytes, endingAt: [bytes.count])
        #expect(whole.answer == PS_MALFORMED.rawValue)
        #expect(decodeChunks(bytes, endingAt: 1...bytes.count) == whole)
        for cut in 0..<min(bytes.count, 100) {
            #expect(decodeChunks(bytes, endingAt: [cut, bytes.count]) == whole)
        }
    }

    @Test func `what was refused stays refused`() {
        var chunks = ps_http_chunks()
        for piece in ["x", "0\r\n\r\n"] {
            var bytes = Array(piece.utf8)
            var (count, dataCount) = (bytes.count, 0)
            let answer = ps_http_chunks_decode(&chunks, &bytes, &count, &dataCount)
            #expect(answer == PS_MALFORMED.rawValue && dataCount == 0)
        }
    }

    @Test func `extensions have a limit of 256 bytes`() {
        func body(_ extensionBytes: Int) -> [UInt8] {
            Array("0;\(String(repeating: "a", count: extensionBytes - 1))\r\n\r\n".utf8)
        }
        #expect(decodeChunks(body(256), endingAt: [261]).answer == PS_DONE.rawValue)
        #expect(decodeChunks(body(257), endingAt: [262]).answer == PS_MALFORMED.rawValue)
    }

    @Test func `a body of nothing but tiny chunks is refused`() {
        let tiny = (0..<60000).flatMap { _ in Array("1\r\na\r\n".utf8) }
        let decoded = decodeChunks(tiny, endingAt: [tiny.count])
        #expect(decoded.answer == PS_MALFORMED.rawValue)
        #expect(decoded.consumed < 80_000)
    }

    @Test func `more overhead than 16 bytes for each of data is refused past 4 KiB`() {
        func body(_ chunks: Int, _ extensionBytes: Int) -> [UInt8] {
            let name = String(repeating: "e", count: extensionBytes - 1)
            let chunk = Array("1;\(name)\r\na\r\n".utf8)
            return (0..<chunks).flatMap { _ in chunk } + Array("0\r\n\r\n".utf8)
        }
        let few = body(100, 20)
        #expect(decodeChunks(few, endingAt: [few.count]).answer == PS_DONE.rawValue)
        let many = body(400, 20)
        let refused = decodeChunks(many, endingAt: [many.count])
        #expect(refused.answer == PS_MALFORMED.rawValue)
        #expect(decodeChunks(many, endingAt: 1...many.count) == refused)
        let lighter = body(400, 10)
        #expect(decodeChunks(lighter, endingAt: [lighter.count]).answer == PS_DONE.rawValue)
    }

    @Test func `random bodies come back as they were cut into chunks`() {
        let seed = printedSeed()
        var random = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            var (body, data): ([UInt8], [UInt8]) = ([], [])
            for _ in 0..<Int.random(in: 0...6, using: &random) {
                let count = Int.random(in: 1...40, using: &random)
                let chunk = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
                body += Array("\(String(count, radix: 16))\r\n".utf8) + chunk + [13, 10]
                data += chunk
            }
            body += Array("0\r\n\r\n".utf8)
            let expected = DecodedBody(
                answer: PS_DONE.rawValue, data: data, consumed: body.count)
            let cuts = (0..<5).map { _ in Int.random(in: 0..<body.count, using: &random) }.sorted()
            #expect(decodeChunks(body, endingAt: cuts + [body.count]) == expected, "seed \(seed)")
        }
    }
}

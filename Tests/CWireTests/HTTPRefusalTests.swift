import CWire
import Testing

@Suite struct HTTPRefusalTests {
    static let requestLines: [(String, Int)] = [
        ("\r\n\r\nGET / HTTP/1.1", 400), (" GET / HTTP/1.1", 400), ("GET", 400), ("GET /", 400),
        ("GET  / HTTP/1.1", 400), ("GET\t/ HTTP/1.1", 400), ("GET /  HTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400), ("GET /\tHTTP/1.1", 400), ("G@T / HTTP/1.1", 400),
        ("GET / http/1.1", 400), ("GET / HTTP/01.1", 400), ("GET / HTTP/1.01", 400),
        ("GET / HTTP/1.32", 400), ("GET / HTTP/257.1", 400), ("GET / HTTP/1", 400),
        ("GET / HTTP/1.", 400), ("GET / HTTP/.1", 400), ("GET / HTTP/-1.1", 400),
        ("GET / HTTQ/1.1", 400), ("GET / HTTP/1,1", 400), ("GET / HTTP/1.x", 400),
        ("GET / HTTP/2.0", 505), ("GET / HTTP/9.9", 505), ("GET / HTTP/0.9", 505),
        ("PRI * HTTP/2.0", 505), ("PRI * HTTP/1.1", 400),
        ("GET /#a HTTP/1.1", 400), ("GET /\\a HTTP/1.1", 400), ("GET /\"a HTTP/1.1", 400),
        ("GET /<a> HTTP/1.1", 400), ("GET /ä HTTP/1.1", 400), ("GET /{a} HTTP/1.1", 400),
        ("GET /a|b HTTP/1.1", 400), ("GET /a^b HTTP/1.1", 400), ("GET /`a HTTP/1.1", 400),
        ("GET /[a] HTTP/1.1", 400), ("GET /?[a]=1 HTTP/1.1", 400), ("GET /?a#b HTTP/1.1", 400),
        ("GET /% HTTP/1.1", 400), ("GET /%2 HTTP/1.1", 400), ("GET /%g0 HTTP/1.1", 400),
        ("GET /%0g HTTP/1.1", 400), ("GET /%u0041 HTTP/1.1", 400), ("GET /?%zz HTTP/1.1", 400),
        ("GET a HTTP/1.1", 400), ("GET a:80 HTTP/1.1", 400), ("GET * HTTP/1.1", 400),
        ("OPTIONS ** HTTP/1.1", 400), ("GET ?a HTTP/1.1", 400), ("GET http:/// HTTP/1.1", 400),
        ("GET http:// HTTP/1.1", 400), ("GET http:/a HTTP/1.1", 400),
        ("GET ftp://a/ HTTP/1.1", 400), ("GET http://u@a/ HTTP/1.1", 400),
        ("GET http://a:x/ HTTP/1.1", 400), ("GET http://a:65536/ HTTP/1.1", 400),
        ("GET http://[::1/ HTTP/1.1", 400), ("GET http://a\\b/ HTTP/1.1", 400),
        ("CONNECT / HTTP/1.1", 400), ("CONNECT a HTTP/1.1", 400), ("CONNECT a: HTTP/1.1", 400),
        ("CONNECT :443 HTTP/1.1", 400), ("CONNECT http://a:443 HTTP/1.1", 400),
        ("\u{16}\u{3}\u{1}\u{2}", 400), ("SSH-2.0-OpenSSH_9.2", 400), ("\0\0\0\0", 400),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2", 400), ("GET / HTTP/1.1\r", 400),
        ("GET / HTTP/1.1\rX: y", 400), ("GET / HTTP/1.1\nX: y", 400), ("GET /\u{7f} HTTP/1.1", 400),
    ]

    static let fields: [(String, Int)] = [
        ("X: a\nY: b", 400), ("X: a\rY: b", 400), ("X: a\r\rY: b", 400), ("X: a\r", 400),
        ("X: a\r\n b", 400), ("X: a\r\n\tb", 400), ("X : a", 400), ("X\t: a", 400), ("X", 400),
        ("X a", 400), (": a", 400), ("X\u{0}: a", 400), ("X(: a", 400), ("X\": a", 400),
        ("Xä: a", 400), ("X: \u{0}", 400), ("X: \u{1}", 400), ("X: a\u{b}b", 400),
        ("X: \u{1b}[2J", 400), ("X: a\u{7f}", 400),
        ("Host: h", 400), ("host: other", 400),
        ("Content-Length:", 400), ("Content-Length: +5", 400), ("Content-Length: -1", 400),
        ("Content-Length: 0x5", 400), ("Content-Length: 5 5", 400), ("Content-Length: 5,", 400),
        ("Content-Length: 5, 5", 400), ("Content-Length: 5, 6", 400),
        ("Content-Length: 1_0", 400), ("Content-Length: 5e0", 400), ("Content-Length: 5.0", 400),
        ("Content-Length: ٥", 400), ("Content-Length: 99999999999999999999x", 400),
        ("Content-Length: 5\r\nContent-Length: 5", 400),
        ("Content-Length: 5\r\nContent-Length: 6", 400),
        ("Content-Length: 0\r\ncontent-length: 0", 400),
        ("Content-Length: 9223372036854775808", 413),
        ("Content-Length: 18446744073709551616", 413),
        ("Content-Length: 18446744073709551617", 413),
        ("Content-Length: 9999999999999999999999999999999999999999", 413),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", 400),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
        ("Content-Length: 0\r\nTransfer-Encoding: chunked", 400),
        ("Content-Length: 5\r\nTransfer-Encoding: gzip", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip", 400),
        ("Transfer-Encoding:", 400), ("Transfer-Encoding: ,", 400),
        ("Transfer-Encoding: chunked, chunked", 400), ("Transfer-Encoding: chunked,", 400),
        ("Transfer-Encoding: , chunked", 400),
        ("Transfer-Encoding: chunked, gzip", 400), ("Transfer-Encoding: gzip, chunked, gzip", 400),
        ("Transfer-Encoding: chunked;a=b", 400), ("Transfer-Encoding: \"chunked\"", 400),
        ("Transfer-Encoding: chunked x", 400), ("Transfer-Encoding: \u{b}chunked", 400),
        ("Transfer-Encoding: gzip x", 400), ("Transfer-Encoding: =", 400),
        ("Transfer-Encoding: gzip", 501), ("Transfer-Encoding: identity", 501),
        ("Transfer-Encoding: xchunked", 501), ("Transfer-Encoding: chunked1", 501),
        ("Transfer-Encoding: gzip;q=1, deflate", 501), ("Transfer-Encoding: gzip, chunked", 501),
        ("Transfer-Encoding: chunked\t", 400), ("Transfer-Encoding:\tchunked", 400),
        ("Transfer-Encoding: chunked\t ", 400), ("Content-Length: 5 \t", 400),
        ("Content-Length: \t 5", 400), ("Content-Length: \t", 400),
        ("Connection: \"a, close", 400), ("Connection: close;a", 400),
        ("Connection: close keep-alive", 400), ("Connection: a, (b)", 400),
        ("Expect: foo", 417), ("Expect:", 417), ("Expect: 100-continue, foo", 417),
        ("Expect: 200-ok", 417),
    ]

    static let hosts = [
        "", "a b", "a,b c", "u@a", "a:b", "a:65536", "a:999999999999", "a:80:80", "a:-1", "a:+80",
        "a/b", "a?b", "a#b", "a\\b", "<a>", "a%", "a%zz", ":80", "[::1", "::1", "[::1]x", "[]",
        "[::1%25eth0]", "[1.2.3.4]", "[v1.a]", "[::g]", "a[", "ä",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]",
    ]

    static let complete: [(String, Int)] =
        requestLines.map { ("\($0.0)\r\nHost: h\r\n\r\n", $0.1) }
        + fields.map { ("POST / HTTP/1.1\r\nHost: h\r\n\($0.0)\r\n\r\n", $0.1) }
        + hosts.map { ("GET / HTTP/1.1\r\nHost: \($0)\r\n\r\n", 400) }
        + [
            ("GET / HTTP/1.1\r\n\r\n", 400), ("GET http://a/ HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n\tHost: h\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n\r\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: h\r\n\rX\r\n\r\n", 400),
            ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.0\r\nExpect: foo\r\n\r\n", 417), ("GET /\r\n\r\n", 400),
        ]

    @Test(arguments: complete)
    func `what is wrong is refused, however it is cut`(request: String, status: Int) {
        let bytes = Array(request.utf8)
        #expect(parseHead(bytes) == .refused(status))
        #expect(parseHead(bytes, endingAt: 1...bytes.count) == .refused(status))
        for cut in 0..<bytes.count {
            let first = parseHead(bytes[..<cut])
            #expect(first == .partial || first == .refused(status), "cut at \(cut)")
            #expect(parseHead(bytes, scanned: cut) == .refused(status), "cut at \(cut)")
        }
    }

    @Test(arguments: ["\n", "\0", "\u{1}", "\u{b}", "\u{1f}", "\u{7f}", "\r ", "\rX", "\r\r"])
    func `a byte that can stand nowhere is answered at once`(bad: String) {
        let before = Array("GET /a HTTP/1.1\r\nHost: h\r\nX: y".utf8)
        for cut in 1...before.count where before[cut - 1] != 13 {
            let bytes = before[..<cut] + Array(bad.utf8)
            #expect(parseHead(bytes) == .refused(400), "after \(cut) bytes")
            #expect(parseHead(Array(bytes), endingAt: cut...bytes.count) == .refused(400))
        }
    }

    @Test func `a request line may have its limit and no byte more`() {
        let limits = ps_http_limits(request_line_bytes: 20, head_bytes: 100, field_count: 100)
        let end = "\r\nHost: h\r\n\r\n"
        let fitting = Array("GET /12345 HTTP/1.1\(end)".utf8)  // 19
        let exact = Array("GET /123456 HTTP/1.1\(end)".utf8)
        let long = Array("GET /1234567 HTTP/1.1\(end)".utf8)
        for bytes in [fitting, exact, Array("\r\n".utf8) + exact] {
            guard case .done = parseHead(bytes, limits: limits) else {
                Issue.record("refused: \(bytes.count) bytes")
                continue
            }
        }
        #expect(parseHead(long, limits: limits) == .refused(414))
        #expect(parseHead(long, endingAt: 1...long.count, limits: limits) == .refused(414))
        #expect(parseHead(long[..<20], limits: limits) == .refused(414))
        #expect(parseHead(long[..<19], limits: limits) == .partial)
        #expect(parseHead(Array(long[..<20]), endingAt: 1...20, limits: limits) == .refused(414))
    }

    @Test func `a head may have its limit and no byte more`() {
        let bytes = Array("GET / HTTP/1.1\r\nHost: h\r\nX: 1234567890\r\n\r\n".utf8)
        var limits = ps_http_limits(
            request_line_bytes: 20, head_bytes: UInt32(bytes.count), field_count: 100)
        guard case .done = parseHead(bytes, limits: limits) else {
            Issue.record("refused at the limit")
            return
        }
        limits.head_bytes -= 1
        #expect(parseHead(bytes, limits: limits) == .refused(431))
        #expect(parseHead(bytes, endingAt: 1...bytes.count, limits: limits) == .refused(431))
        #expect(parseHead(bytes[..<(bytes.count - 1)], limits: limits) == .refused(431))
        #expect(parseHead(bytes[..<(bytes.count - 2)], limits: limits) == .partial)
    }

    @Test func `fields are counted`() {
        let ninetyNine = (0..<99).map { "X\($0): y\r\n" }.joined()
        let exact = Array("GET / HTTP/1.1\r\nHost: h\r\n\(ninetyNine)\r\n".utf8)
        let long = Array("GET / HTTP/1.1\r\nHost: h\r\n\(ninetyNine)Y: z\r\n\r\n".utf8)
        guard case .done(let request) = parseHead(exact) else {
            Issue.record("refused at the limit")
            return
        }
        #expect(request.fields.count == 100)
        #expect(parseHead(long) == .refused(431))
        #expect(parseHead(long, scanned: 30) == .refused(431))
        let three = ps_http_limits(request_line_bytes: 99, head_bytes: 999, field_count: 3)
        #expect(parseHead(exact, limits: three) == .refused(431))
    }

    @Test func `an endless line is refused without its end`() {
        let bytes = Array("GET /".utf8) + Array(repeating: UInt8(ascii: "a"), count: 9000)
        #expect(parseHead(bytes) == .refused(414))
        #expect(
            parseHead(bytes, endingAt: stride(from: 500, through: 9000, by: 500)) == .refused(414))
        let value = Array("GET / HTTP/1.1\r\nHost: h\r\nX: ".utf8) + bytes + bytes
        #expect(parseHead(value) == .refused(431))
        #expect(
            parseHead(value, endingAt: stride(from: 500, through: 18000, by: 500)) == .refused(431))
    }
}

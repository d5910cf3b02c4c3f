import CWire
import TestRandom
import Testing

@Suite struct HTTPHeadTests {
    @Test func `a plain request is read in all its parts`() {
        let bytes = Array(
            """
            POST /votes/?dry=1&x=%20 HTTP/1.1\r
            Host: polls.example:8080\r
            Content-Type:application/json\r
            X-Empty:\r
            X-Padded: \t a  b \t \r
            Content-Length: 0072\r
            \r
            {"poll_id":7}
            """.utf8)
        let expected = ParsedRequest(
            method: PS_HTTP_POST, methodText: "POST", target: "/votes/?dry=1&x=%20",
            path: "/votes/", query: "dry=1&x=%20", host: "polls.example:8080", contentLength: 72,
            fields: [
                .init("Host", "polls.example:8080"), .init("Content-Type", "application/json"),
                .init("X-Empty", ""), .init("X-Padded", "a  b"), .init("Content-Length", "0072"),
            ],
            headBytes: bytes.count - 13)
        #expect(parseHead(bytes) == .done(expected))
    }

    static let accepted: [(String, ParsedRequest)] = [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", ParsedRequest()),
        ("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", ParsedRequest()),
        ("GET / HTTP/1.9\r\nHost: h\r\n\r\n", ParsedRequest()),
        (
            "GET / HTTP/1.0\r\n\r\n",
            ParsedRequest(
                host: "", isVersion10: true, keepAlive: false, fields: [])
        ),
        (
            "GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n",
            ParsedRequest(
                host: "", isVersion10: true, fields: [.init("Connection", "x, Keep-Alive")])
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Close\r\n\r\n",
            ParsedRequest(
                keepAlive: false,
                fields: [.init("Host", "h"), .init("Connection", "keep-alive, Close")])
        ),
        (
            "GET HTTP://User-Agent:80?a=1 HTTP/1.1\r\nHost: h\r\n\r\n",
            ParsedRequest(
                target: "HTTP://User-Agent:80?a=1", query: "a=1", host: "User-Agent:80")
        ),
        (
            "GET https://[2001:db8::7]:443/a//b/.. HTTP/1.1\r\nHost: h\r\n\r\n",
            ParsedRequest(
                target: "https://[2001:db8::7]:443/a//b/..", path: "/a//b/..",
                host: "[2001:db8::7]:443")
        ),
        (
            "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
            ParsedRequest(
                method: PS_HTTP_OPTIONS, methodText: "OPTIONS", target: "*", path: "*")
        ),
        (
            "CONNECT a:443 HTTP/1.1\r\nHost: h\r\n\r\n",
            ParsedRequest(
                method: PS_HTTP_CONNECT, methodText: "CONNECT", target: "a:443", path: "a:443",
                host: "a:443")
        ),
        (
            "get /~a;b=c,d:@!$&'()*+-._%7E HTTP/1.1\r\nHost: h\r\n\r\n",
            ParsedRequest(
                method: PS_HTTP_OTHER, methodText: "get", target: "/~a;b=c,d:@!$&'()*+-._%7E",
                path: "/~a;b=c,d:@!$&'()*+-._%7E")
        ),
        (
            "PUT / HTTP/1.1\r\nhOST:h\r\ntransfer-ENCODING: Chunked\r\nexpect: 100-Continue\r\n\r\n",
            ParsedRequest(
                method: PS_HTTP_PUT, methodText: "PUT", chunked: true, expectsContinue: true,
                fields: [
                    .init("hOST", "h"), .init("transfer-ENCODING", "Chunked"),
                    .init("expect", "100-Continue"),
                ])
        ),
        (
            "GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
            ParsedRequest(
                host: "", isVersion10: true, keepAlive: false,
                fields: [.init("Expect", "100-continue")])
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: a\r\nConnection: , upgrade\r\n\r\n",
            ParsedRequest(
                upgrade: true,
                fields: [
                    .init("Host", "h"), .init("Upgrade", "h2c"), .init("Connection", "a"),
                    .init("Connection", ", upgrade"),
                ])
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775807\r\n\r\n",
            ParsedRequest(
                contentLength: 9_223_372_036_854_775_807,
                fields: [.init("Host", "h"), .init("Content-Length", "9223372036854775807")])
        ),
    ]

    @Test(arguments: accepted)
    func `what is right is taken, whole, in pieces and byte by byte`(
        request: String, expected: ParsedRequest
    ) {
        let bytes = Array(request.utf8)
        var expected = expected
        expected.headBytes = bytes.count
        #expect(parseHead(bytes) == .done(expected))
        #expect(parseHead(bytes, endingAt: 1...bytes.count) == .done(expected))
        for cut in 0..<bytes.count {
            #expect(parseHead(bytes[..<cut]) == .partial, "cut at \(cut)")
            #expect(parseHead(bytes, scanned: cut) == .done(expected), "cut at \(cut)")
        }
    }

    @Test func `what follows the head is not looked at`() {
        let head = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
        let bytes = Array(head.utf8) + [0, 10, 13, 255, 10]
        #expect(parseHead(bytes) == .done(ParsedRequest(headBytes: head.utf8.count)))
        #expect(parseHead(bytes, scanned: 5) == .done(ParsedRequest(headBytes: head.utf8.count)))
    }

    @Test func `every method has its name`() {
        let methods: [(String, ps_http_method)] = [
            ("GET", PS_HTTP_GET), ("HEAD", PS_HTTP_HEAD), ("POST", PS_HTTP_POST),
            ("PUT", PS_HTTP_PUT), ("PATCH", PS_HTTP_PATCH), ("DELETE", PS_HTTP_DELETE),
            ("OPTIONS", PS_HTTP_OPTIONS), ("TRACE", PS_HTTP_TRACE), ("PRI", PS_HTTP_OTHER),
            ("GETS", PS_HTTP_OTHER), ("GE", PS_HTTP_OTHER), ("!#$%&'*+-.^_`|~", PS_HTTP_OTHER),
        ]
        for (name, method) in methods {
            let answer = parseHead(Array("\(name) / HTTP/1.1\r\nHost: h\r\n\r\n".utf8))
            guard case .done(let request) = answer else {
                Issue.record("\(name): \(answer)")
                continue
            }
            #expect(request.method == method && request.methodText == name)
        }
    }

    @Test func `bytes beyond ASCII are no white space`() {
        let bytes = Array("GET / HTTP/1.1\r\nHost: h\r\nX: ".utf8) + [0xa0, 0x85, 0x20, 0x0d, 0x0a]
        let value = withParsedHead(bytes + [0x0d, 0x0a]) { _, head in
            let value = ps_http_find(head, "x")
            return Array(UnsafeBufferPointer(start: value.start, count: value.count))
        }
        #expect(value == [0xa0, 0x85])
    }

    @Test func `random requests are read as they were written`() {
        let seed = printedSeed()
        var random = SeededGenerator(seed: seed)
        let token = Array("!#$%&'*+-.^_`|~09AZaz".unicodeScalars)
        let visible = (0x21...0x7e).map { Unicode.Scalar(UInt8($0)) }
        func string(_ count: ClosedRange<Int>, of scalars: [Unicode.Scalar]) -> String {
            var string = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: count, using: &random) {
                string.append(scalars.randomElement(using: &random)!)
            }
            return String(string)
        }
        for _ in 0..<300 {
            var expected = ParsedRequest()
            var fields = [ParsedRequest.Field("Host", "h")]
            for _ in 0..<Int.random(in: 0...12, using: &random) {
                // An `x` in front keeps clear of the fields that mean something to the parser.
                fields.append(.init("x" + string(0...20, of: token), string(0...60, of: visible)))
            }
            fields.shuffle(using: &random)
            expected.fields = fields
            let lines = fields.map { "\($0.name):\(string(0...3, of: [" ", "\t"]))\($0.value)\r\n" }
            let bytes = Array("GET / HTTP/1.1\r\n\(lines.joined())\r\n".utf8)
            expected.headBytes = bytes.count
            let cuts = (0..<4).map { _ in Int.random(in: 1..<bytes.count, using: &random) }.sorted()
            #expect(parseHead(bytes) == .done(expected), "seed \(seed)")
            #expect(parseHead(bytes, endingAt: cuts + [bytes.count]) == .done(expected))
        }
    }
}

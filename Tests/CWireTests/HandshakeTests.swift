import CWire
import Testing

@Suite struct HandshakeTests {
    /// A right handshake, its lines changed: an empty value leaves the line out.
    private func status(
        requestLine: String = "GET /ws/ HTTP/1.1", changing changes: [(String, String)] = [],
        adding added: String = ""
    ) -> UInt16 {
        var lines: [(String, String)] = [
            ("Host", "h"), ("Upgrade", "websocket"), ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13"),
        ]
        for (name, value) in changes {
            lines = lines.map { $0.0 == name ? (name, value) : $0 }
        }
        let fields = lines.filter { !$0.1.isEmpty }.map { "\($0.0): \($0.1)\r\n" }.joined()
        return withParsedHead(Array("\(requestLine)\r\n\(fields)\(added)\r\n".utf8)) {
            answer, head in
            #expect(answer == PS_DONE.rawValue)
            return ps_ws_check_handshake(head)
        }
    }

    @Test func `a right handshake may switch`() {
        #expect(status() == 101)
        #expect(status(changing: [("Upgrade", "WebSocket"), ("Connection", "a, UPGRADE")]) == 101)
        #expect(status(changing: [("Upgrade", "websocket, h2c")]) == 101)
        #expect(
            status(changing: [("Connection", "keep-alive")], adding: "connection: upgrade\r\n")
                == 101)
        #expect(status(adding: "Content-Length: 0\r\n") == 101)
        #expect(status(changing: [("Upgrade", "h2c")], adding: "Upgrade: websocket\r\n") == 101)
    }

    @Test func `what asks for no WebSocket is none`() {
        #expect(status(changing: [("Upgrade", "")]) == 0)
        #expect(status(changing: [("Upgrade", "h2c")]) == 0)
        #expect(status(changing: [("Upgrade", "websockets")]) == 0)
        #expect(status(requestLine: "POST / HTTP/1.1", changing: [("Upgrade", "")]) == 0)
    }

    @Test func `another method is not allowed`() {
        for method in ["POST", "HEAD", "OPTIONS", "get"] {
            #expect(status(requestLine: "\(method) /ws/ HTTP/1.1") == 405)
        }
    }

    @Test func `version 1_0, a body and a half upgrade are bad`() {
        #expect(status(requestLine: "GET /ws/ HTTP/1.0") == 400)
        #expect(status(adding: "Content-Length: 5\r\n") == 400)
        #expect(status(adding: "Transfer-Encoding: chunked\r\n") == 400)
        #expect(status(changing: [("Connection", "")]) == 400)
        #expect(status(changing: [("Connection", "keep-alive")]) == 400)
        #expect(status(changing: [("Connection", "upgrades")]) == 400)
    }

    @Test(arguments: [
        "", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZR==", "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBsZSBub25j=Q==",
        "dGhlIHNhbXBsZSBub25jZ-==", "dGhlIHNhbXBsZSBub25jZ_==", "AAAAAAAAAAAAAAAAAAAAAAA=",
        "AAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAA== x", "dGhlIHNhbXBsZSBub25jZQ==, a",
    ])
    func `a key is the one base64 of 16 bytes`(key: String) {
        #expect(status(changing: [("Sec-WebSocket-Key", key)]) == 400)
    }

    @Test func `keys may use the whole alphabet`() {
        for key in [
            "AAAAAAAAAAAAAAAAAAAAAA==", "/+09azAZ/+09azAZ/+09aw==", "/////////////////////w==",
        ] {
            #expect(status(changing: [("Sec-WebSocket-Key", key)]) == 101)
        }
    }

    @Test func `two keys are bad, equal ones too`() {
        #expect(status(adding: "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n") == 400)
    }

    @Test(arguments: ["", "0", "8", "12", "14", "255", "013", "13, 8", "13,13", "x"])
    func `another version is told ours`(version: String) {
        #expect(status(changing: [("Sec-WebSocket-Version", version)]) == 426)
    }

    @Test func `two versions are told ours`() {
        #expect(status(adding: "Sec-WebSocket-Version: 13\r\n") == 426)
    }

    @Test func `the accept key is that of RFC 6455`() {
        let accept = withBytes("dGhlIHNhbXBsZSBub25jZQ==") { key in
            var out = [CChar](repeating: 0, count: Int(PS_WS_ACCEPT_BYTES))
            ps_ws_accept_key(&out, key)
            return String(decoding: out.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        #expect(accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    static let digests = [
        ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        ),
        (String(repeating: "a", count: 1_000_000), "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
    ]

    @Test(arguments: digests)
    func `SHA-1 gives the digests of FIPS 180`(text: String, expected: String) {
        let digest = withBytes(text) { bytes in
            var out = [UInt8](repeating: 0, count: 20)
            ps_sha1(&out, bytes.start, bytes.count)
            return out
        }
        let hex = digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        #expect(hex == expected)
    }

    @Test func `SHA-1 is right around the ends of blocks`() {
        // From an independent implementation: the digest over the digests of 0 to 130 letters.
        var all: [UInt8] = []
        for count in 0...130 {
            withBytes(String(repeating: "x", count: count)) { bytes in
                var out = [UInt8](repeating: 0, count: 20)
                ps_sha1(&out, bytes.start, bytes.count)
                all += out
            }
        }
        var out = [UInt8](repeating: 0, count: 20)
        ps_sha1(&out, all, all.count)
        let hex = out.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        #expect(hex == "c8aae94427ef2bc2653160a5197170068f5fc9fd")
    }
}

import Testing

@testable import PollStreamClient

@Suite struct EndpointTests {
    @Test(
        arguments: [
            ("http://127.0.0.1:8080", "127.0.0.1", 8080),
            ("http://polls.example/", "polls.example", 80),
            ("http://[::1]:81", "::1", 81), ("http://[::1]/", "::1", 80),
        ] as [(String, String, UInt16)])
    func `an address is read`(url: String, host: String, port: UInt16) throws {
        let endpoint = try Endpoint(url)
        #expect(endpoint.host == host)
        #expect(endpoint.port == port)
    }

    @Test(arguments: [
        "", "https://a", "http://", "http://a:0", "http://a:x", "http://a/b", "http://u@a",
        "http://[::1", "http://[::1]x", "http://a:99999",
    ])
    func `what is none is refused`(url: String) {
        #expect(throws: ClientError.badURL(url)) { try Endpoint(url) }
    }

    @Test func `an answer's head is read at its last byte`() throws {
        let text = Array("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX:  y \r\n\r\nhi".utf8)
        for count in 0..<text.count - 2 {
            #expect(try ResponseHead(Array(text[..<count])) == nil)
        }
        let head = try #require(try ResponseHead(text))
        #expect(head.status == 200)
        #expect(head.fields == ["content-length": "2", "x": "y"])
        #expect(try head.bodyByteCount() == 2)
    }

    @Test(arguments: [
        "HTTP/1.0 200 OK\r\n\r\n", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nx\r\n\r\n",
    ])
    func `a head that is none is an error`(text: String) {
        #expect(throws: ClientError.self) { try ResponseHead(Array(text.utf8)) }
    }
}

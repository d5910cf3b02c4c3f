import CLoad
import Testing

struct ScanTests {
    private func number(_ key: String, in json: String) -> UInt64? {
        var value: UInt64 = 0
        let bytes = Array(json.utf8)
        return ld_scan_number(bytes, bytes.count, key, &value) ? value : nil
    }

    private func text(_ key: String, in json: String) -> String? {
        let bytes = Array(json.utf8)
        return bytes.withUnsafeBufferPointer { buffer in
            var text: UnsafePointer<UInt8>?
            var count = 0
            guard ld_scan_text(buffer.baseAddress, buffer.count, key, &text, &count) else {
                return nil
            }
            return String(decoding: UnsafeBufferPointer(start: text, count: count), as: UTF8.self)
        }
    }

    @Test func `a number is found after its key`() {
        let tally = #"{"type":"tally","poll_id":7,"revision":1790000000123,"total":15}"#
        #expect(number("revision", in: tally) == 1_790_000_000_123)
        #expect(number("revision", in: #"{"revision": 5}"#) == 5)
        #expect(number("revisions", in: tally) == nil)
        #expect(number("revision", in: #"{"revision":"#) == nil)
        #expect(number("revision", in: #"{"revision":null}"#) == nil)
    }

    @Test func `a text ends at its own quote`() {
        #expect(text("ref", in: #"{"ref":"12","status":"counted"}"#) == "12")
        #expect(text("status", in: #"{"status":"a\"b"}"#) == #"a\"b"#)
        #expect(text("status", in: #"{"status":"cut"#) == nil)
        #expect(text("status", in: #"{"status":"cut\"#) == nil)
    }

    private func parse(_ bytes: [UInt8]) -> (used: Int32, status: Int32, body: Int) {
        var response = ld_response()
        let used = ld_response_parse(&response, bytes, bytes.count)
        return (used, response.status, response.body_bytes)
    }

    @Test func `a response is whole only with its last byte`() {
        let text = "HTTP/1.1 201 Created\r\ncontent-LENGTH: 5\r\nX: y\r\n\r\nhello"
        let bytes = Array(text.utf8)
        for cut in 0..<bytes.count {
            #expect(parse(Array(bytes[..<cut])).used == Int32(LD_PARTIAL), "cut at \(cut)")
        }
        let whole = parse(bytes + Array("HTTP/1.1".utf8))
        #expect(Int(whole.used) == bytes.count)
        #expect(whole.status == 201)
        #expect(whole.body == 5)
    }

    @Test func `an upgrade ends with its head`() {
        let head = Array("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n".utf8)
        #expect(Int(parse(head + [0x81, 0x00]).used) == head.count)
    }

    @Test(arguments: [
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ])
    func `a response whose end cannot be known is malformed`(text: String) {
        #expect(parse(Array(text.utf8)).used == Int32(LD_MALFORMED))
    }

    @Test func `answers are counted by what they say`() {
        var outcomes = ld_outcomes()
        let answers = [
            #"{"type":"ack","ref":"1","status":"counted"}"#,
            #"{"type":"ack","ref":"2","status":"counted","repeated":true}"#,
            #"{"type":"ack","ref":"3","status":"count"}"#,
            #"{"error":{"code":"overloaded","message":"Later."}}"#,
            #"{"type":"ack","ref":"4","status":"counted"}"#,
            "nothing",
        ]
        for answer in answers {
            let bytes = Array(answer.utf8)
            ld_outcomes_add(&outcomes, bytes, bytes.count, "HTTP 200")
        }
        let found = withUnsafeBytes(of: outcomes.all) { bytes in
            bytes.bindMemory(to: ld_outcome.self).prefix(Int(outcomes.count)).map { outcome in
                let name = withUnsafeBytes(of: outcome.name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                return "\(name) \(outcome.count)"
            }
        }
        #expect(found == ["counted 2", "repeated 1", "count 1", "overloaded 1", "HTTP 200 1"])
    }

    @Test func `no answer is lost past the table of outcomes`() {
        var outcomes = ld_outcomes()
        let kinds = Int(LD_OUTCOMES_MAX) + 10
        for kind in 0..<kinds {
            let bytes = Array(#"{"code":"kind\#(kind)"}"#.utf8)
            ld_outcomes_add(&outcomes, bytes, bytes.count, "none")
        }
        let total = withUnsafeBytes(of: outcomes.all) { bytes in
            bytes.bindMemory(to: ld_outcome.self).reduce(0) { $0 + $1.count }
        }
        #expect(total == UInt64(kinds))
    }
}

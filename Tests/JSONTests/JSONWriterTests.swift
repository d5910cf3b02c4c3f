import Testing

@testable import JSON

@Suite struct JSONWriterTests {
    private func text(_ write: (inout JSONWriter) -> Void) -> String {
        var json = JSONWriter()
        write(&json)
        return String(decoding: json.bytes, as: UTF8.self)
    }

    @Test func `commas come between values and nowhere else`() {
        let tally = text { json in
            json.beginObject()
            json.member("type", "tally")
            json.member("poll_id", 7)
            json.member("counts", [11, 4])
            json.member("none", [])
            json.name("options")
            json.beginArray()
            for id in 1...2 {
                json.beginObject()
                json.member("id", id)
                json.endObject()
            }
            json.endArray()
            json.name("empty")
            json.beginObject()
            json.endObject()
            json.member("last", true)
            json.endObject()
        }
        #expect(
            tally == #"{"type":"tally","poll_id":7,"counts":[11,4],"none":[],"#
                + #""options":[{"id":1},{"id":2}],"empty":{},"last":true}"#)
    }

    @Test func `every kind of value is written`() {
        let values = text { json in
            json.beginArray()
            json.value("a\"ä</")
            json.value(Int64.min)
            json.value(false)
            json.null()
            json.value(unixMilliseconds: 1_795_415_637_000)
            Array("{\"raw\":1}".utf8).withUnsafeBytes { json.raw($0) }
            json.endArray()
        }
        #expect(
            values == #"["a\"ä<\/",-9223372036854775808,false,null,"2026-11-23T06:33:57Z","#
                + #"{"raw":1}]"#)
    }

    @Test func `an absent value is null`() {
        let members = text { json in
            json.beginObject()
            json.member("a", String?.none)
            json.member("b", Int64?.none)
            json.member("c", unixMilliseconds: nil)
            json.member("d", unixMilliseconds: 0)
            json.endObject()
        }
        #expect(members == #"{"a":null,"b":null,"c":null,"d":"1970-01-01T00:00:00Z"}"#)
    }

    @Test func `a writer begins anew in the same memory`() {
        var json = JSONWriter(reusing: Array(repeating: 1, count: 1000))
        let first = json.bytes.withUnsafeBytes { $0.baseAddress }
        json.value(1)
        json.value(2)
        #expect(Array(json.bytes) == Array("1,2".utf8))
        json.restart()
        json.value(3)
        #expect(Array(json.bytes) == Array("3".utf8))
        #expect(json.bytes.withUnsafeBytes { $0.baseAddress } == first)
    }

    @Test func `the memory grows as the text does`() throws {
        for step in [1, 7, 250, 1000] {
            var json = JSONWriter()
            json.beginArray()
            for _ in 0..<300 { json.value(String(repeating: "\u{1}", count: step)) }
            json.endArray()
            let one = "\"" + String(repeating: "\\u0001", count: step) + "\""
            let expected = "[" + Array(repeating: one, count: 300).joined(separator: ",") + "]"
            #expect(String(decoding: json.bytes, as: UTF8.self) == expected)
        }
    }
}

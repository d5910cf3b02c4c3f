import CWire
import Testing

/// Lends `string` as borrowed bytes that end at an unreadable page.
func withBytes<Result>(_ string: String, _ body: (ps_bytes) -> Result) -> Result {
    withGuarded(string.utf8) { body(ps_bytes(start: $0, count: string.utf8.count)) }
}

@Suite struct HTTPFieldsTests {
    @Test func `fields are found without case, the first of several`() {
        let bytes = Array("GET / HTTP/1.1\r\nHost: h\r\nX-Ref: a\r\nx-ref: b\r\nY:\r\n\r\n".utf8)
        withParsedHead(bytes) { _, head in
            #expect(text(ps_http_find(head, "x-ref")) == "a")
            #expect(ps_http_count(head, "x-ref") == 2)
            #expect(ps_http_find(head, "y").start != nil)
            #expect(ps_http_find(head, "x-re").start == nil)
            #expect(ps_http_find(head, "x-reff").start == nil)
            #expect(ps_http_count(head, "z") == 0)
        }
    }

    static let lists: [(String, [String])] = [
        ("", []), (" \t", []), (",", []), (", ,\t,", []), ("a", ["a"]), (" a\t", ["a"]),
        ("a,b", ["a", "b"]), ("a , b c ,", ["a", "b c"]), (",,a", ["a"]),
        ("a;x=\"b,c\", d", ["a;x=\"b,c\"", "d"]), (#"a="\",", b"#, [#"a="\",""#, "b"]),
        ("\"a, b", ["\"a, b"]), ("\"\\", ["\"\\"]),
    ]

    @Test(arguments: lists)
    func `lists are split at commas`(list: String, expected: [String]) {
        withBytes(list) { bytes in
            var (rest, element) = (bytes, ps_bytes())
            var elements: [String] = []
            while ps_http_list_next(&rest, &element) { elements.append(text(element)) }
            #expect(elements == expected)
            for name in expected where name.allSatisfy(\.isLowercase) {
                #expect(ps_http_list_has(bytes, name))
            }
            #expect(!ps_http_list_has(bytes, "missing"))
        }
    }

    @Test func `tokens in lists are compared without case`() {
        withBytes("Keep-Alive, UPGRADE") {
            #expect(ps_http_list_has($0, "upgrade") && ps_http_list_has($0, "keep-alive"))
            #expect(!ps_http_list_has($0, "upgrad") && !ps_http_list_has($0, "upgrades"))
        }
    }

    static let escaped: [(String, Bool, String?)] = [
        ("", false, ""), ("abc", false, "abc"), ("a%20b", false, "a b"), ("%c3%A4", false, "ä"),
        ("a+b", false, "a+b"), ("a+b%2b", true, "a b+"), ("%252e", false, "%2e"),
        ("%00", false, "\0"), ("%", false, nil), ("a%2", false, nil), ("%g0", false, nil),
        ("%0g", false, nil), ("%u0041", false, nil), ("%%41", false, nil), ("%+1", true, nil),
    ]

    @Test(arguments: escaped)
    func `escapes are decoded`(escaped: String, plusIsSpace: Bool, expected: String?) {
        withBytes(escaped) { bytes in
            var out = [UInt8](repeating: 0, count: escaped.utf8.count)
            let count = ps_percent_decode(&out, out.count, bytes, plusIsSpace)
            #expect(count == expected.map(\.utf8.count) ?? -1)
            if let expected { #expect(out.prefix(count).elementsEqual(expected.utf8)) }
        }
    }

    @Test func `decoding stops at the room there is`() {
        withBytes("a%20b") { bytes in
            var out: [UInt8] = [0, 0, 0]
            #expect(ps_percent_decode(&out, 3, bytes, false) == 3)
            #expect(ps_percent_decode(&out, 2, bytes, false) == -2)
            #expect(ps_percent_decode(&out, 0, bytes, false) == -2)
        }
    }
}

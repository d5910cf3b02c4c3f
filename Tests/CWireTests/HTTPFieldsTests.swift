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
}

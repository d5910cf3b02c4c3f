import CWire
import TestRandom
import Testing

/// The answer to a text, copied out of the table.
struct ParsedJSON: Equatable {
    var answer: CInt
    var error: ps_json_error.RawValue
    var offset: Int
    var tree: JSONTree?
}

indirect enum JSONTree: Equatable, Sendable {
    case null
    case bool(Bool)
    case number(String)
    case string(String)
    case array([JSONTree])
    case object([Member])

    struct Member: Equatable, Sendable {
        let name: String
        let value: JSONTree
    }

    init(_ index: inout Int, of values: [ps_json_value], in text: UnsafePointer<UInt8>) {
        var value = values[index]
        let raw = UnsafeBufferPointer(start: text + Int(value.start), count: Int(value.count))
        index += 1
        switch ps_json_kind(UInt32(value.kind)) {
        case PS_JSON_NULL: self = .null
        case PS_JSON_FALSE: self = .bool(false)
        case PS_JSON_TRUE: self = .bool(true)
        case PS_JSON_NUMBER: self = .number(String(decoding: raw, as: UTF8.self))
        case PS_JSON_STRING:
            let unescaped = [UInt8](unsafeUninitializedCapacity: raw.count) { out, count in
                count = out.isEmpty ? 0 : ps_json_unescape(out.baseAddress, &value, text)
            }
            self = .string(String(decoding: unescaped, as: UTF8.self))
        case PS_JSON_ARRAY:
            var elements: [JSONTree] = []
            for _ in 0..<value.item_count { elements.append(.init(&index, of: values, in: text)) }
            self = .array(elements)
        default:
            var members: [Member] = []
            for _ in 0..<value.item_count {
                guard case .string(let name) = JSONTree(&index, of: values, in: text) else {
                    fatalError("a name that is no string")
                }
                members.append(Member(name: name, value: .init(&index, of: values, in: text)))
            }
            self = .object(members)
        }
        precondition(index == Int(value.next), "next points past the value")
    }
}

func parseJSON(_ text: some Collection<UInt8>, capacity: Int = 256) -> ParsedJSON {
    withGuarded(text) { start in
        var result = ps_json_result()
        var values = [ps_json_value](repeating: ps_json_value(), count: capacity)
        let answer = ps_json_parse(&result, &values, UInt32(capacity), start, text.count)
        var parsed = ParsedJSON(
            answer: answer, error: result.error.rawValue, offset: Int(result.error_offset))
        if answer == PS_DONE.rawValue {
            var index = 0
            parsed.tree = JSONTree(&index, of: values, in: start)
            precondition(index == Int(result.value_count), "the top holds all values")
        }
        return parsed
    }
}

@Suite struct JSONReadTests {
    static let valid: [(String, JSONTree)] = [
        ("null", .null), ("true", .bool(true)), (" \t\r\nfalse ", .bool(false)),
        ("0", .number("0")), ("-0", .number("-0")), ("-12.50e+07", .number("-12.50e+07")),
        ("1E-9", .number("1E-9")), ("1e9", .number("1e9")), ("[]", .array([])),
        ("123456789012345678901234567890", .number("123456789012345678901234567890")),
        ("{}", .object([])), (" [ ] ", .array([])), (" { } ", .object([])), ("\"\"", .string("")),
        ("[[],{}]", .array([.array([]), .object([])])),
        ("[1,\"a\",null]", .array([.number("1"), .string("a"), .null])),
        (
            #"{"a":{"b":[1,2]},"c":[{}]}"#,
            .object([
                .init(
                    name: "a",
                    value: .object([
                        .init(name: "b", value: .array([.number("1"), .number("2")]))
                    ])),
                .init(name: "c", value: .array([.object([])])),
            ])
        ),
        (
            #"{"a" : 1 , "" : 2}"#,
            .object([
                .init(name: "a", value: .number("1")), .init(name: "", value: .number("2")),
            ])
        ),
        (
            #"{"a":1,"A":2}"#,
            .object([
                .init(name: "a", value: .number("1")), .init(name: "A", value: .number("2")),
            ])
        ),
        (
            #"[{"a":1},{"a":1}]"#,
            .array([
                .object([.init(name: "a", value: .number("1"))]),
                .object([.init(name: "a", value: .number("1"))]),
            ])
        ),
        (#""\"\\\/\b\f\n\r\t""#, .string("\"\\/\u{8}\u{c}\n\r\t")),
        (#""\u0041\u00e4\u20AC\ud83c\uDF89""#, .string("Aä€🎉")),
        (
            #""\u0001\u001f\u007f\uffff\ud7ff\ue000""#,
            .string("\u{1}\u{1f}\u{7f}\u{ffff}\u{d7ff}\u{e000}")
        ),
        (
            "\"κόσμε 🎉 plain and much longer than a word\u{7f}\"",
            .string("κόσμε 🎉 plain and much longer than a word\u{7f}")
        ),
        ("\"\u{2028}\u{2029}\u{feff}\"", .string("\u{2028}\u{2029}\u{feff}")),
        (#"{"o\u0070tion":1}"#, .object([.init(name: "option", value: .number("1"))])),
    ]

    @Test(arguments: valid)
    func `what the standard allows is read`(text: String, tree: JSONTree) {
        let parsed = parseJSON(text.utf8)
        #expect(parsed.answer == PS_DONE.rawValue && parsed.tree == tree)
    }

    @Test(arguments: valid)
    func `a text that is cut is partial`(text: String, tree: JSONTree) {
        let bytes = Array("[\(text)]".utf8)
        for cut in 0..<bytes.count {
            #expect(parseJSON(bytes[..<cut]).answer == PS_PARTIAL.rawValue, "cut at \(cut)")
        }
        #expect(parseJSON(bytes).tree == .array([tree]))
    }

    static let wrong: [(String, ps_json_error, Int)] = [
        ("a", PS_JSON_SYNTAX, 0), ("nul1", PS_JSON_SYNTAX, 3), ("True", PS_JSON_SYNTAX, 0),
        ("NaN", PS_JSON_SYNTAX, 0), ("Infinity", PS_JSON_SYNTAX, 0),
        ("-Infinity", PS_JSON_SYNTAX, 1), ("'a'", PS_JSON_SYNTAX, 0), ("a:1", PS_JSON_SYNTAX, 0),
        ("nullx", PS_JSON_SYNTAX, 4), ("1 2", PS_JSON_SYNTAX, 2), ("{}{}", PS_JSON_SYNTAX, 2),
        ("[] ]", PS_JSON_SYNTAX, 3), ("{}}", PS_JSON_SYNTAX, 2), ("\"\"\"\"", PS_JSON_SYNTAX, 2),
        ("[1,]", PS_JSON_SYNTAX, 3), ("[,1]", PS_JSON_SYNTAX, 1), ("[,]", PS_JSON_SYNTAX, 1),
        ("[1,,2]", PS_JSON_SYNTAX, 3), ("[1 2]", PS_JSON_SYNTAX, 3), ("[1}", PS_JSON_SYNTAX, 2),
        ("[1:2]", PS_JSON_SYNTAX, 2), ("]", PS_JSON_SYNTAX, 0), ("[}", PS_JSON_SYNTAX, 1),
        ("{]", PS_JSON_SYNTAX, 1), ("{,}", PS_JSON_SYNTAX, 1), ("{a:1}", PS_JSON_SYNTAX, 1),
        ("{1:1}", PS_JSON_SYNTAX, 1), ("{null:1}", PS_JSON_SYNTAX, 1),
        (#"{"a"}"#, PS_JSON_SYNTAX, 4), (#"{"a",1}"#, PS_JSON_SYNTAX, 4),
        (#"{"a":}"#, PS_JSON_SYNTAX, 5), (#"{"a":1,}"#, PS_JSON_SYNTAX, 7),
        (#"{"a":1 "b":2}"#, PS_JSON_SYNTAX, 7), (#"{"a":1]"#, PS_JSON_SYNTAX, 6),
        (#"{"a"::1}"#, PS_JSON_SYNTAX, 5), (#"{"a":1;"b":2}"#, PS_JSON_SYNTAX, 6),
        ("01", PS_JSON_SYNTAX, 1), ("-01", PS_JSON_SYNTAX, 2), ("00", PS_JSON_SYNTAX, 1),
        ("+1", PS_JSON_SYNTAX, 0), (".5", PS_JSON_SYNTAX, 0), ("1.x", PS_JSON_SYNTAX, 2),
        ("[1.]", PS_JSON_SYNTAX, 3), ("[1.e1]", PS_JSON_SYNTAX, 3), ("[1e]", PS_JSON_SYNTAX, 3),
        ("[1e+]", PS_JSON_SYNTAX, 4), ("[1e+-1]", PS_JSON_SYNTAX, 4), ("[-]", PS_JSON_SYNTAX, 2),
        ("0x1", PS_JSON_SYNTAX, 1), ("1_0", PS_JSON_SYNTAX, 1), ("--1", PS_JSON_SYNTAX, 1),
        ("1eE1", PS_JSON_SYNTAX, 2), ("1a", PS_JSON_SYNTAX, 1),
        ("// a\n1", PS_JSON_SYNTAX, 0), ("1 /* a */", PS_JSON_SYNTAX, 2),
        ("\u{feff}1", PS_JSON_SYNTAX, 0), ("\u{b}1", PS_JSON_SYNTAX, 0),
        ("\u{a0}1", PS_JSON_SYNTAX, 0), ("[\u{2028}]", PS_JSON_SYNTAX, 1),
        ("\0", PS_JSON_SYNTAX, 0),
        (#""\x41""#, PS_JSON_SYNTAX, 2), (#""\a""#, PS_JSON_SYNTAX, 2),
        (#""\'""#, PS_JSON_SYNTAX, 2), ("\"\\\0\"", PS_JSON_SYNTAX, 2),
        (#""\U0041""#, PS_JSON_SYNTAX, 2), (#""\u00g1""#, PS_JSON_SYNTAX, 5),
        (#""\u004""#, PS_JSON_SYNTAX, 6), (#""\u""#, PS_JSON_SYNTAX, 3),
        (#""\ud83c\u00x""#, PS_JSON_SYNTAX, 11),
        ("\"\n\"", PS_JSON_BAD_TEXT, 1), ("\"a\tb\"", PS_JSON_BAD_TEXT, 2),
        ("\"\0\"", PS_JSON_BAD_TEXT, 1), ("\"twelve bytes\u{1f}\"", PS_JSON_BAD_TEXT, 13),
        (#""\u0000""#, PS_JSON_BAD_TEXT, 7), (#""\ud800""#, PS_JSON_BAD_TEXT, 7),
        (#""\udc00""#, PS_JSON_BAD_TEXT, 7), (#""\ud83cx""#, PS_JSON_BAD_TEXT, 7),
        (#""\ud83c\n""#, PS_JSON_BAD_TEXT, 8), (#""\ud83c\ud83c""#, PS_JSON_BAD_TEXT, 13),
        (#""\ud83c\u0041""#, PS_JSON_BAD_TEXT, 13), (#""\udf89\ud83c""#, PS_JSON_BAD_TEXT, 7),
        (#"{"a":1,"a":2}"#, PS_JSON_DUPLICATE_MEMBER, 12),
        (#"{"a":1,"b":2,"\u0061":1}"#, PS_JSON_DUPLICATE_MEMBER, 23),
        (#"{"ä":1,"\u00e4":2}"#, PS_JSON_DUPLICATE_MEMBER, 18),
        (#"{"🎉":1,"\ud83c\udf89":2}"#, PS_JSON_DUPLICATE_MEMBER, 26),
        (#"[{"b":{"":0,"c":1,"":2}}]"#, PS_JSON_DUPLICATE_MEMBER, 22),
    ]

    @Test(arguments: wrong)
    func `what the standard does not allow is refused where it stands`(
        text: String, error: ps_json_error, offset: Int
    ) {
        let parsed = parseJSON(text.utf8)
        #expect(parsed.answer == PS_MALFORMED.rawValue)
        #expect(parsed.error == error.rawValue && parsed.offset == offset)
        // A cut may hide the fault, never turn it into something right.
        for cut in 0..<text.utf8.count {
            let isWhole = parseJSON(Array(text.utf8)[..<cut]).answer == PS_DONE.rawValue
            #expect(!isWhole || cut <= offset)
        }
    }

    @Test(arguments: ["", " ", "\t\n", "[", "{\"a", "tru", "-", "1.", "1e", "\"\\u00", "[1,"])
    func `an unfinished text is partial`(text: String) {
        #expect(parseJSON(text.utf8).answer == PS_PARTIAL.rawValue)
    }

    @Test(arguments: UTF8Tests.invalid)
    func `strings are UTF-8`(bytes: [UInt8]) {
        let parsed = parseJSON(Array("\"ok".utf8) + bytes + Array("\"".utf8))
        #expect(parsed.error == PS_JSON_BAD_TEXT.rawValue)
        #expect(parseJSON(bytes).answer != PS_DONE.rawValue)
    }

    @Test func `other encodings are refused`() {
        for bytes: [UInt8] in [[0xff, 0xfe, 0x31, 0], [0xfe, 0xff, 0, 0x31], [0x31, 0, 0, 0]] {
            #expect(parseJSON(bytes).answer == PS_MALFORMED.rawValue)
        }
    }

    @Test func `depth is limited to 32`() {
        func nested(_ depth: Int, _ open: String, _ close: String) -> [UInt8] {
            Array(
                (String(repeating: open, count: depth) + "1"
                    + String(repeating: close, count: depth)).utf8)
        }
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            #expect(parseJSON(nested(32, open, close)).answer == PS_DONE.rawValue)
            for depth in [33, 512, 513] {
                #expect(
                    parseJSON(nested(depth, open, close), capacity: 2000).error
                        == PS_JSON_TOO_DEEP.rawValue)
            }
        }
        let endless = [UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)
        #expect(parseJSON(endless).error == PS_JSON_TOO_DEEP.rawValue)
    }

    @Test func `values are limited by the table`() {
        let text = Array(#"{"a":[1,2]}"#.utf8)
        #expect(parseJSON(text, capacity: 5).answer == PS_DONE.rawValue)
        for capacity in 0..<5 {
            #expect(parseJSON(text, capacity: capacity).error == PS_JSON_TOO_MANY.rawValue)
        }
    }

    @Test func `items of one container are limited by their counter`() {
        func array(_ count: Int) -> [UInt8] {
            Array("[\(String(repeating: "1,", count: count - 1))1]".utf8)
        }
        let largest = parseJSON(array(65535), capacity: 70000)
        #expect(largest.answer == PS_DONE.rawValue)
        #expect(parseJSON(array(65536), capacity: 70000).error == PS_JSON_TOO_MANY.rawValue)
    }

    @Test(arguments: [1, 2, 7, 8, 9, 10, 16, 17, 100, 1000])
    func `a repeated name is found at any place among many`(count: Int) {
        let seed = printedSeed()
        var random = SeededGenerator(seed: seed)
        var names = (0..<count).map { "name \(String(repeating: "x", count: $0 % 5))\($0)" }
        names.shuffle(using: &random)
        func text(_ names: [String]) -> [UInt8] {
            Array("{\(names.map { "\"\($0)\":[0]" }.joined(separator: ","))}".utf8)
        }
        let parsed = parseJSON(text(names), capacity: 4096)
        guard case .object(let members) = parsed.tree else {
            Issue.record("\(count) different names were refused, seed \(seed)")
            return
        }
        #expect(members.map(\.name) == names)
        for _ in 0..<20 {
            let name = names.randomElement(using: &random)!
            let spelled = Bool.random(using: &random) ? name : "\\u006e" + name.dropFirst()
            var doubled = names
            doubled.insert(spelled, at: Int.random(in: 0...count, using: &random))
            #expect(
                parseJSON(text(doubled), capacity: 4096).error
                    == PS_JSON_DUPLICATE_MEMBER.rawValue, "\(name), seed \(seed)")
        }
    }

    static let integers: [(String, CInt, Int64)] = [
        ("0", 0, 0), ("7", 0, 7), ("-7", 0, -7), ("9223372036854775807", 0, .max),
        ("-9223372036854775808", 0, .min), ("9223372036854775808", -2, 0),
        ("-9223372036854775809", -2, 0), ("18446744073709551616", -2, 0),
        (String(repeating: "9", count: 400), -2, 0), ("1.0", -1, 0), ("1e0", -1, 0),
        ("1E5", -1, 0), ("-0", -1, 0), ("1.5", -1, 0), ("1e999", -1, 0), ("1e-999", -1, 0),
        ("99999999999999999999.5", -1, 0), ("true", -1, 0), ("\"1\"", -1, 0), ("[1]", -1, 0),
    ]

    @Test(arguments: integers)
    func `integers are those written as integers`(text: String, answer: CInt, integer: Int64) {
        withGuarded(text.utf8) { start in
            var (result, value, read) = (ps_json_result(), [ps_json_value()], Int64(0))
            value.append(ps_json_value())
            #expect(ps_json_parse(&result, &value, 2, start, text.utf8.count) == PS_DONE.rawValue)
            #expect(ps_json_int64(&read, &value, start) == answer && read == integer)
        }
    }

    @Test func `strings are compared unescaped`() {
        func compare(_ text: String, _ name: String) -> Bool {
            withGuarded(text.utf8) { start in
                var (result, value) = (ps_json_result(), ps_json_value())
                let answer = ps_json_parse(&result, &value, 1, start, text.utf8.count)
                #expect(answer == PS_DONE.rawValue)
                return ps_json_string_is(&value, start, name, name.utf8.count)
            }
        }
        #expect(compare("\"\"", "") && compare("\"abc\"", "abc"))
        #expect(compare(#""\u0061b\u00e4\n""#, "abä\n") && compare(#""\ud83c\udf89""#, "🎉"))
        for other in ["", "ab", "abcd", "abd", "Abc"] {
            #expect(!compare("\"abc\"", other) && !compare(#""\u0061bc""#, other))
        }
        #expect(!compare(#""a\u00e4""#, "a\u{c3}"))
    }

    @Test func `strings are written so that scripts may hold them`() {
        func written(_ string: String) -> String {
            let bytes = [UInt8](unsafeUninitializedCapacity: 6 * string.utf8.count + 2) {
                $1 = withGuarded(string.utf8) { [out = $0.baseAddress] in
                    ps_json_write_string(out, $0, string.utf8.count)
                }
            }
            return String(decoding: bytes, as: UTF8.self)
        }
        #expect(written("") == "\"\"")
        #expect(written("a\"\\/\u{8}\u{c}\n\r\t") == #""a\"\\/\b\f\n\r\t""#)
        #expect(written("\0\u{1}\u{1f}\u{7f}") == "\"\\u0000\\u0001\\u001f\u{7f}\"")
        #expect(written("</script><//</") == #""<\/script><\//<\/""#)
        #expect(
            written("\u{2027}\u{2028}\u{2029}\u{202a}€â") == "\"\u{2027}\\u2028\\u2029\u{202a}€â\"")
    }

    @Test(arguments: [0, 9, -1, 10, -10, .max, .min] as [Int64])
    func `integers are written in full`(integer: Int64) {
        var out = [UInt8](repeating: 0, count: 20)
        let count = ps_json_write_int64(&out, integer)
        #expect(String(decoding: out[..<count], as: UTF8.self) == String(integer))
    }
}

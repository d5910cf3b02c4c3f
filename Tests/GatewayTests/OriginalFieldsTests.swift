import JSON
import Synchronization
import Testing
import Threads

@testable import Gateway

/// What Django REST framework 3 answers to the same bodies.
struct OriginalFieldsTests {
    /// Reads `{"f": …}`; nil for `json` leaves it out.
    private func read<Value>(
        _ json: String?, _ body: (inout OriginalFields) throws -> Value
    ) throws -> (Value, OriginalErrors?) {
        let text = Array((json.map { "{\"f\":\($0)}" } ?? "{}").utf8)
        return try text.withUnsafeBytes { bytes in
            let document = JSONDocument(valueCapacity: 128)
            var fields = try OriginalFields(document.parse(bytes))
            let value = try body(&fields)
            do throws(OriginalErrors) {
                try fields.check()
                return (value, nil)
            } catch {
                return (value, error)
            }
        }
    }

    private func message(_ errors: OriginalErrors?) -> String? {
        guard case .fields(let fields)? = errors, fields.count == 1, fields[0].name == "f",
            case .messages(let messages) = fields[0].errors
        else { return nil }
        return messages.joined(separator: "|")
    }

    @Test(
        arguments: [
            ("1", 1), ("-7", -7), ("1.0", 1), ("\"1\"", 1), ("\"1.0\"", 1), ("\" 12.00 \"", 12),
            ("\"+3\"", 3),
            ("99999999999999999999", .max),
        ] as [(String, Int64)])
    func `a number is taken as it comes`(json: String, value: Int64) throws {
        let (read, errors) = try read(json) { $0.integer("f") }
        #expect(read == value && errors == nil)
    }

    @Test(
        arguments: [
            (nil, "This field is required."), ("null", "This field may not be null."),
            ("true", "A valid integer is required."), ("1.5", "A valid integer is required."),
            ("\"\"", "A valid integer is required."), ("\"one\"", "A valid integer is required."),
            ("[1]", "A valid integer is required."), ("\"-\"", "A valid integer is required."),
            ("1e3", "A valid integer is required."),
        ] as [(String?, String)])
    func `what is no number is refused`(json: String?, expected: String) throws {
        #expect(message(try read(json) { $0.integer("f") }.1) == expected)
    }

    @Test(arguments: [("\" ada \"", "ada"), ("5", "5"), ("1.50", "1.50"), ("\"äöü\"", "äöü")])
    func `a text is trimmed, and may be a number`(json: String, value: String) throws {
        let (read, errors) = try read(json) { $0.text("f", upTo: 4) }
        #expect(read == value && errors == nil)
    }

    @Test(
        arguments: [
            (nil, "This field is required."), ("null", "This field may not be null."),
            ("\"  \"", "This field may not be blank."), ("true", "Not a valid string."),
            ("{}", "Not a valid string."),
            ("\"abcde\"", "Ensure this field has no more than 4 characters."),
        ] as [(String?, String)])
    func `what is no text is refused`(json: String?, expected: String) throws {
        #expect(message(try read(json) { $0.text("f", upTo: 4) }.1) == expected)
    }

    @Test(arguments: [nil, "null", "\"\"", "\" \""] as [String?])
    func `a text that may be missing`(json: String?) throws {
        let (read, errors) = try read(json) { $0.text("f", upTo: 4, or: "") }
        #expect(read == "" && errors == nil)
    }

    @Test(arguments: [
        ("2030-01-31T18:00", "2030-01-31T18:00:00Z"),
        ("2030-01-31 18:00:05", "2030-01-31T18:00:05Z"),
        ("2030-01-31T18:00:05.123456Z", "2030-01-31T18:00:05.123000Z"),
        ("2030-01-31T18:00:05.5+02:00", "2030-01-31T16:00:05.500000Z"),
        ("2030-01-31T18:00+0200", "2030-01-31T16:00:00Z"),
        ("2030-01-31T18:00-03", "2030-01-31T21:00:00Z"),
        ("1999-12-31T23:59Z", "1999-12-31T23:59:00Z"),
    ])
    func `a time in any of its forms`(text: String, expected: String) throws {
        let time = try #require(OriginalTime.parse(text))
        #expect(OriginalTime.string(time) == expected)
    }

    @Test(arguments: [
        "", "tomorrow", "2030-01-31", "2030-02-30T10:00", "2030-01-31T25:00", "2030-01-31T18:00:61",
        "2030-01-31T18:00:00+2", "2030-01-31T18", "20300131T180000Z", "2030-01-31T18:00:00 Z",
    ])
    func `what is no time is refused`(text: String) throws {
        #expect(OriginalTime.parse(text) == nil)
        #expect(message(try read("\"\(text)\"") { $0.time("f") }.1) == OriginalTime.wrongFormat)
    }

    @Test func `errors of a list are keyed by index`() throws {
        let list = """
            [{"text": "one"}, {}, "two", {"text": null}]
            """
        let (_, errors) = try read(list) { fields in
            fields.list("f", upTo: 63) { (element) throws(OriginalErrors) in
                var option = try OriginalFields(element)
                let text = option.text("text", upTo: 255)
                try option.check()
                return text
            }
        }
        var json = JSONWriter()
        errors?.write(to: &json)
        #expect(
            String(decoding: json.bytes, as: UTF8.self)
                == #"{"f":{"1":{"text":["This field is required."]},"2":{"non_field_errors":["Invalid data. Expected a dictionary, but got str."]},"3":{"text":["This field may not be null."]}}}"#
        )
        #expect(
            message(try read("\"x\"") { $0.list("f", upTo: 9) { _ in "" } }.1)
                == "Expected a list of items but got type \"str\".")
    }
}

struct OriginalPageTests {
    private func page(_ query: String) throws -> ListPage {
        try withBytes(query) { try ListPage(original: Query($0)) }
    }

    @Test func `pages are numbers from 1 on`() throws {
        #expect(try page("").number == 1)
        #expect(try page("page=3").number == 3)
        #expect(try page("page=1&page=2").number == 2)
        for bad in ["0", "-1", "x", "", "1.5", "99999999999999999999"] {
            #expect(throws: OriginalFailure.invalidPage) { try page("page=\(bad)") }
        }
    }

    @Test(arguments: [("5", 5), ("20", 20), ("21", 20), ("0", 10), ("-3", 10), ("x", 10), ("", 10)])
    func `a bad size is the usual one`(text: String, size: Int) throws {
        #expect(try page("page_size=\(text)").size == size)
    }

    @Test(arguments: [
        ("", 2, "http://h/l/?page=2"), ("", 1, "http://h/l/"),
        ("page=2&page_size=5", 3, "http://h/l/?page=3&page_size=5"),
        ("page=2&page=7&full_name=Ada+L%C3%B6ve", 1, "http://h/l/?full_name=Ada+L%C3%B6ve"),
        ("z=1&full_name=b&full_name=a&x", 2, "http://h/l/?full_name=b&full_name=a&page=2&x=&z=1"),
        ("q=a%26b%3Dc/~", 2, "http://h/l/?page=2&q=a%26b%3Dc%2F~"),
    ])
    func `links are sorted and encoded`(query: String, number: Int, expected: String) throws {
        withBytes(query) {
            let links = OriginalLinks(base: "http://h/l/", query: Query($0))
            #expect(links.link(to: number) == expected)
        }
    }
}

struct FeedPacerTests {
    @Test func `never more than the rate in a second`() {
        let pacer = FeedPacer(rate: 3)
        var random = SystemRandomNumberGenerator()
        var (now, taken): (UInt64, [UInt64]) = (1, [])
        for _ in 0..<5_000 {
            now += UInt64.random(in: 0...300_000_000, using: &random)
            if pacer.take(at: now) { taken.append(now) }
        }
        #expect(taken.count > 1_000)
        for index in 3..<taken.count { #expect(taken[index] - taken[index - 3] >= 1_000_000_000) }
    }

    @Test func `a place that is given back is another's`() {
        let pacer = FeedPacer(rate: 1)
        #expect(pacer.take(at: 5))
        #expect(!pacer.take(at: 6))
        pacer.giveBack()
        #expect(pacer.take(at: 7))
    }

    @Test func `loops that ask at once share the rate`() {
        let pacer = FeedPacer(rate: 100)
        let taken = Count()
        let loops = (0..<4).map { loop in
            Thread(name: "loop \(loop)") {
                for _ in 0..<1_000 where pacer.take(at: 1) { taken.add() }
            }
        }
        for loop in loops { loop.join() }
        #expect(taken.value == 100)
    }

    private final class Count: Sendable {
        private let count = Atomic(0)
        var value: Int { count.load(ordering: .relaxed) }
        func add() { count.add(1, ordering: .relaxed) }
    }
}

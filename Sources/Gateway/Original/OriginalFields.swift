import JSON
import Polls

/// Reads the members of a body as the fields of Django REST framework's serializers do: leniently, and
/// all of them before anything is refused.
struct OriginalFields {
    private let root: JSONValue
    private var failed: [(name: String, errors: OriginalErrors)] = []

    /// - Throws: where it is no object.
    init(_ root: JSONValue) throws(OriginalErrors) {
        guard root.kind == .object else {
            let message = "Invalid data. Expected a dictionary, but got \(root.pythonType)."
            throw .fields([("non_field_errors", .messages([message]))])
        }
        self.root = root
    }

    /// All that was wrong. - Throws: where anything was.
    func check() throws(OriginalErrors) {
        if !failed.isEmpty { throw .fields(failed) }
    }

    /// A `CharField`: trimmed; numbers are taken as they are written.
    /// - Parameter otherwise: where it may be missing, null or blank, what it is then.
    mutating func text(_ name: StaticString, upTo limit: Int, or otherwise: String? = nil) -> String
    {
        let member = root[name]
        let text: String
        switch member.kind {
        case .missing: return otherwise ?? fail(name, "This field is required.", "")
        case .null: return otherwise ?? fail(name, "This field may not be null.", "")
        case .bool, .array, .object: return fail(name, "Not a valid string.", "")
        case .number: text = String(decoding: member.text, as: UTF8.self)
        case .string: text = ((try? member.string) ?? "").trimmed()
        }
        if text.isEmpty { return otherwise ?? fail(name, "This field may not be blank.", "") }
        if text.unicodeScalars.count > limit {
            return fail(name, "Ensure this field has no more than \(limit) characters.", "")
        }
        return text
    }

    /// An `IntegerField`: 1, 1.0, "1" and " 1.00 " are 1; true is not. What is past 64 bits is some
    /// number that nothing has.
    mutating func integer(_ name: StaticString) -> Int64 {
        let member = root[name]
        let text: String
        switch member.kind {
        case .missing: return fail(name, "This field is required.", 0)
        case .null: return fail(name, "This field may not be null.", 0)
        case .bool, .array, .object: return fail(name, "A valid integer is required.", 0)
        case .number: text = String(decoding: member.text, as: UTF8.self)
        case .string: text = (try? member.string) ?? ""
        }
        if text.utf8.count > 1000 { return fail(name, "String value too large.", 0) }
        guard let integer = Self.integer(text.trimmed()) else {
            return fail(name, "A valid integer is required.", 0)
        }
        return integer
    }

    private static func integer(_ text: String) -> Int64? {
        var digits = text[...]
        if let point = digits.firstIndex(of: ".") {
            guard digits[point...].dropFirst().allSatisfy({ $0 == "0" }) else { return nil }
            digits = digits[..<point]
        }
        let unsigned = digits.first == "-" || digits.first == "+" ? digits.dropFirst() : digits
        guard !unsigned.isEmpty, unsigned.utf8.allSatisfy({ $0.decimalDigit != nil }) else {
            return nil
        }
        return Int64(digits) ?? .max
    }

    /// A `DateTimeField`; without an offset it is UTC. - Returns: Unix milliseconds.
    mutating func time(_ name: StaticString) -> Int64 {
        let member = root[name]
        switch member.kind {
        case .missing: return fail(name, "This field is required.", 0)
        case .null: return fail(name, "This field may not be null.", 0)
        default: break
        }
        guard let text = try? member.string, let time = OriginalTime.parse(text) else {
            return fail(name, OriginalTime.wrongFormat, 0)
        }
        return time
    }

    /// A list of objects, each read by `read`; errors are keyed by the element's index.
    mutating func list(
        _ name: StaticString, upTo limit: Int,
        _ read: (JSONValue) throws(OriginalErrors) -> String
    ) -> [String] {
        let member = root[name]
        switch member.kind {
        case .missing: return fail(name, "This field is required.", [])
        case .null: return fail(name, "This field may not be null.", [])
        default: break
        }
        guard let elements = try? member.elements else {
            let type = member.pythonType
            return fail(name, "Expected a list of items but got type \"\(type)\".", [])
        }
        if elements.count > limit {
            return fail(name, "Ensure this field has no more than \(limit) elements.", [])
        }
        var texts: [String] = []
        var wrong: [(name: String, errors: OriginalErrors)] = []
        for (index, element) in elements.enumerated() {
            do throws(OriginalErrors) {
                texts.append(try read(element))
            } catch {
                wrong.append(("\(index)", error))
            }
        }
        if !wrong.isEmpty { failed.append((name.description, .fields(wrong))) }
        return texts
    }

    private mutating func fail<Value>(
        _ name: StaticString, _ message: String, _ value: Value
    ) -> Value {
        failed.append((name.description, .messages([message])))
        return value
    }
}

extension JSONValue {
    /// What Python calls it.
    fileprivate var pythonType: String {
        switch kind {
        case .missing, .null: "NoneType"
        case .bool: "bool"
        case .number: text.contains { $0.decimalDigit == nil && $0 != 0x2d } ? "float" : "int"
        case .string: "str"
        case .array: "list"
        case .object: "dict"
        }
    }
}

/// Times as Django REST framework reads and writes them.
enum OriginalTime {
    static let wrongFormat =
        "Datetime has wrong format. Use one of these formats instead: "
        + "YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."

    /// `2030-01-31T18:00`, also with a space, seconds, a fraction and an offset.
    static func parse(_ text: String) -> Int64? {
        var text = Array(text.utf8)
        guard text.count >= 16, text.count <= 64 else { return nil }
        if text[10] == UInt8(ascii: " ") { text[10] = UInt8(ascii: "T") }
        // Made what RFC 3339 wants: seconds, and an offset with a colon.
        if text.count == 16 || text[16] != UInt8(ascii: ":") {
            text.insert(contentsOf: ":00".utf8, at: 16)
        }
        guard text.count >= 19 else { return nil }
        if text.count > 19, text[19] == UInt8(ascii: ",") { text[19] = UInt8(ascii: ".") }
        let fraction = text[19...].prefix { $0 == UInt8(ascii: ".") || $0.decimalDigit != nil }
        switch text.count - fraction.endIndex {
        case 0: text.append(UInt8(ascii: "Z"))
        case 3: text += ":00".utf8
        case 5: text.insert(UInt8(ascii: ":"), at: fraction.endIndex + 3)
        default: break
        }
        return Timestamp.parse(String(decoding: text, as: UTF8.self))
    }

    /// `2030-01-31T18:00:00Z`, with microseconds where there is a fraction.
    static func string(_ unixMilliseconds: Int64) -> String {
        let text = Timestamp.string(unixMilliseconds: unixMilliseconds)
        return text.contains(".") ? text.dropLast() + "000Z" : text
    }
}

extension JSONWriter {
    mutating func member(_ name: StaticString, originalTime time: Int64?) {
        member(name, time.map(OriginalTime.string))
    }
}

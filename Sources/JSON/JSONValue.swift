import CWire

/// One value of a parsed text, or the place where one is missing.
///
/// Reading is strict: what is not there or of another type throws a ``JSONMismatch`` that names the
/// member, and a number is an integer only where it is written as one. So a request is read as the
/// list of its members:
///
///     let root = try document.parse(body)
///     let poll = try root["poll_id"].int64
///     let voter = try root["voter"].ifPresent?.string
///     for option in try root["option_ids"].elements { marks.append(try option.int64) }
///
/// A value borrows the document and the text it was parsed from: it is good until the document
/// parses again or the text goes away, whichever comes first.
package struct JSONValue {
    package enum Kind {
        case missing, null, bool, number, string, array, object
    }

    private let value: UnsafePointer<ps_json_value>?
    private let table: JSONTable
    private let member: StaticString

    init(_ value: UnsafePointer<ps_json_value>?, in table: JSONTable, member: StaticString) {
        self.value = value
        self.table = table
        self.member = member
    }

    package var kind: Kind {
        guard let value else { return .missing }
        switch ps_json_kind(UInt32(value.pointee.kind)) {
        case PS_JSON_NULL: return .null
        case PS_JSON_FALSE, PS_JSON_TRUE: return .bool
        case PS_JSON_NUMBER: return .number
        case PS_JSON_STRING: return .string
        case PS_JSON_ARRAY: return .array
        default: return .object
        }
    }

    /// The value itself, or nil where it is missing or null: the two ways to leave a member out.
    package var ifPresent: JSONValue? {
        switch kind {
        case .missing, .null: nil
        default: self
        }
    }

    /// The member of an object; missing where there is none, or where this is no object.
    /// Time grows with the members of the object.
    package subscript(_ name: StaticString) -> JSONValue {
        var found: UnsafePointer<ps_json_value>?
        if let value, kind == .object {
            var candidate = value + 1
            for _ in 0..<value.pointee.item_count {
                if table.string(candidate, is: name) {
                    found = candidate + 1
                    break
                }
                candidate = table.values + Int(candidate[1].next)
            }
        }
        return JSONValue(found, in: table, member: name)
    }

    /// The integer, in the range of 64 bits.
    package var int64: Int64 {
        get throws(JSONMismatch) {
            let value = try expect(.number)
            var integer: Int64 = 0
            switch ps_json_int64(&integer, value, table.text) {
            case 0: return integer
            case -2: throw mismatch(.outOfRange)
            default: throw mismatch(.notAnInteger)
            }
        }
    }

    /// The string, unescaped.
    package var string: String {
        get throws(JSONMismatch) {
            let value = try expect(.string)
            let count = Int(value.pointee.count)
            if value.pointee.escaped {
                return String(unsafeUninitializedCapacity: count) {
                    guard let out = $0.baseAddress else { return 0 }
                    return ps_json_unescape(out, value, table.text)
                }
            }
            let start = table.text + Int(value.pointee.start)
            return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
        }
    }

    package var bool: Bool {
        get throws(JSONMismatch) {
            try expect(.bool).pointee.kind == UInt8(PS_JSON_TRUE.rawValue)
        }
    }

    /// The elements of an array, in order. A mismatch in one of them names this member.
    package var elements: JSONElements {
        get throws(JSONMismatch) {
            JSONElements(of: try expect(.array), in: table, member: member)
        }
    }

    /// The value as it was sent; of a string, with its quotes. Empty where it is missing.
    package var text: UnsafeRawBufferPointer {
        guard let value else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let quote = kind == .string ? 1 : 0
        return UnsafeRawBufferPointer(
            start: table.text + Int(value.pointee.start) - quote,
            count: Int(value.pointee.count) + 2 * quote)
    }

    private func expect(_ expected: Kind) throws(JSONMismatch) -> UnsafePointer<ps_json_value> {
        let kind = self.kind
        guard let value, kind == expected else {
            throw mismatch(kind == .missing ? .missing : kind == .null ? .null : .wrongType)
        }
        return value
    }

    private func mismatch(_ reason: JSONMismatch.Reason) -> JSONMismatch {
        JSONMismatch(member: member.description, reason: reason)
    }
}

/// The elements of an array.
package struct JSONElements: Sequence, IteratorProtocol {
    /// How many are left.
    package private(set) var count: Int

    private var upcoming: UnsafePointer<ps_json_value>
    private let table: JSONTable
    private let member: StaticString

    init(of array: UnsafePointer<ps_json_value>, in table: JSONTable, member: StaticString) {
        self.count = Int(array.pointee.item_count)
        self.upcoming = array + 1
        self.table = table
        self.member = member
    }

    package var underestimatedCount: Int { count }

    package mutating func next() -> JSONValue? {
        guard count > 0 else { return nil }
        count -= 1
        defer { upcoming = table.values + Int(upcoming.pointee.next) }
        return JSONValue(upcoming, in: table, member: member)
    }
}

/// A well-formed text that does not hold what was asked for.
package struct JSONMismatch: Error, Equatable {
    package enum Reason {
        case missing, null, wrongType
        /// A number with a fraction or an exponent, or `-0`.
        case notAnInteger
        /// An integer beyond 64 bits.
        case outOfRange
    }

    /// The name of the member; of the array for an element; empty for the top value.
    package let member: String
    package let reason: Reason

    package init(member: String, reason: Reason) {
        self.member = member
        self.reason = reason
    }
}

/// Where a value finds its text and its neighbours.
struct JSONTable {
    let text: UnsafePointer<UInt8>
    let values: UnsafePointer<ps_json_value>

    func string(_ value: UnsafePointer<ps_json_value>, is name: StaticString) -> Bool {
        name.withUTF8Buffer {
            ps_json_string_is(
                value, text, UnsafeRawPointer($0.baseAddress!).assumingMemoryBound(to: CChar.self),
                $0.count)
        }
    }
}

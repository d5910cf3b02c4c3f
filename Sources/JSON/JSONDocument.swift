import CWire

/// Reads one JSON text after the other into a table of values that is allocated once.
///
/// Strict (RFC 8259): see `json.h` for what is refused. The table bounds what a text may hold, so
/// memory never depends on what was sent. Not `Sendable`: one document per thread.
package final class JSONDocument {
    private let values: UnsafeMutablePointer<ps_json_value>
    private let capacity: UInt32

    /// A document for texts of at most `valueCapacity` values, at 16 bytes each; the name of a
    /// member counts as one.
    package init(valueCapacity: Int = 1024) {
        precondition(valueCapacity > 0)
        capacity = UInt32(valueCapacity)
        values = .allocate(capacity: valueCapacity)
    }

    deinit {
        values.deallocate()
    }

    /// Validates the whole text and gives its top value, which is good until the next call and as
    /// long as `text` is. Time grows with the bytes, whatever they are. At most 4 GiB.
    /// - Throws: what is wrong first, and where.
    package func parse(_ text: UnsafeRawBufferPointer) throws(JSONSyntaxError) -> JSONValue {
        var result = ps_json_result()
        let start = text.baseAddress?.assumingMemoryBound(to: UInt8.self)
        precondition(text.count <= UInt32.max)
        guard let start else {
            throw JSONSyntaxError(reason: .endsEarly, offset: 0)
        }
        let answer = ps_json_parse(&result, values, capacity, start, text.count)
        guard answer == PS_DONE.rawValue else {
            throw JSONSyntaxError(answer: answer, result)
        }
        return JSONValue(values, in: JSONTable(text: start, values: values), member: "")
    }
}

/// A text that is not JSON as we take it.
package struct JSONSyntaxError: Error, Equatable {
    package enum Reason {
        case endsEarly
        case syntax
        /// Nested beyond 32.
        case tooDeep
        case duplicateMember
        /// Not UTF-8, a control character, a lone surrogate or U+0000 in a string.
        case badText
        /// More values than the document has room for.
        case tooManyValues
    }

    package let reason: Reason
    /// In bytes, where the text stopped being good.
    package let offset: Int
}

extension JSONSyntaxError {
    init(answer: CInt, _ result: ps_json_result) {
        offset = Int(result.error_offset)
        guard answer != PS_PARTIAL.rawValue else {
            reason = .endsEarly
            return
        }
        switch result.error {
        case PS_JSON_TOO_DEEP: reason = .tooDeep
        case PS_JSON_DUPLICATE_MEMBER: reason = .duplicateMember
        case PS_JSON_BAD_TEXT: reason = .badText
        case PS_JSON_TOO_MANY: reason = .tooManyValues
        default: reason = .syntax
        }
    }
}

/// The parameters of a URL's query or of a form: `name=value` joined by `&`, percent-encoded.
///
/// Borrows its bytes. Parameters nobody asks for are never decoded.
struct Query {
    let text: UnsafeRawBufferPointer

    init(_ text: UnsafeRawBufferPointer) { self.text = text }

    /// All values of a parameter, in order.
    /// - Throws: `malformedRequest` for a bad escape in one of them.
    func values(_ name: StaticString) throws(APIError) -> [[UInt8]] {
        var values: [[UInt8]] = []
        var rest = text
        while var pair = rest.takeElement(before: UInt8(ascii: "&")) {
            guard let encodedName = pair.takeElement(before: UInt8(ascii: "=")),
                Query.decodes(encodedName, to: name)
            else { continue }
            guard let value = PercentEncoding.decodeForm(pair) else {
                throw .malformedRequest
            }
            values.append(value)
        }
        return values
    }

    /// The value of a parameter; where it is repeated, the last one counts.
    func value(_ name: StaticString) throws(APIError) -> [UInt8]? { try values(name).last }

    /// The parameter as an integer. - Throws: `invalid` where it is none.
    func integer(_ name: StaticString) throws(APIError) -> Int64? {
        guard let value = try value(name) else { return nil }
        guard let integer = value.withUnsafeBytes({ $0.decimalInteger }) else {
            throw .invalid(field: name.description, message: "Give a whole number.")
        }
        return integer
    }

    /// The query without a parameter, as it came; for links that change it.
    func removing(_ name: StaticString) -> [UInt8] {
        var kept: [UInt8] = []
        var rest = text
        while let pair = rest.takeElement(before: UInt8(ascii: "&")) {
            var value = pair
            if let encodedName = value.takeElement(before: UInt8(ascii: "=")),
                Query.decodes(encodedName, to: name)
            {
                continue
            }
            if !kept.isEmpty { kept.append(UInt8(ascii: "&")) }
            kept.append(contentsOf: pair)
        }
        return kept
    }

    private static func decodes(_ encoded: UnsafeRawBufferPointer, to name: StaticString) -> Bool {
        if encoded.isEqual(to: name) { return true }
        guard encoded.contains(UInt8(ascii: "%")),
            let decoded = PercentEncoding.decodeForm(encoded)
        else { return false }
        return decoded.withUnsafeBytes { $0.isEqual(to: name) }
    }
}

/// Which of our codings a client wants, by its Accept-Encoding field (RFC 9110 §12.5.3).
struct AcceptEncoding {
    /// Whether gzip is allowed, and wanted no less than the bytes as they are.
    let prefersGzip: Bool

    /// - Parameter field: nil asks for the bytes as they are.
    init(_ field: UnsafeRawBufferPointer?) {
        var gzip: Int?
        var identity: Int?
        var others: Int?
        var rest = field ?? UnsafeRawBufferPointer(start: nil, count: 0)
        while let element = rest.takeElement(before: UInt8(ascii: ",")) {
            var parameters = element
            guard let coding = parameters.takeElement(before: UInt8(ascii: ";"))?.trimmed(),
                let quality = Accept.quality(ofParameters: parameters)
            else { continue }
            if coding.isEqualIgnoringCase(to: "gzip") || coding.isEqualIgnoringCase(to: "x-gzip") {
                gzip = quality
            } else if coding.isEqualIgnoringCase(to: "identity") {
                identity = quality
            } else if coding.isEqual(to: "*") {
                others = quality
            }
        }
        let wanted = gzip ?? others ?? 0
        // Who does not name identity takes it, and likes everything better that it does name.
        prefersGzip = wanted > 0 && wanted >= identity ?? 0
    }
}

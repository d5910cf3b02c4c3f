/// How much a client wants a media type, by its Accept field (RFC 9110 §12.5.1).
struct Accept {
    private let field: UnsafeRawBufferPointer?

    /// - Parameter field: nil accepts everything.
    init(_ field: UnsafeRawBufferPointer?) { self.field = field }

    /// Thousandths; 0 refuses it. The most specific range decides. What cannot be read is ignored.
    func quality(of type: StaticString, _ subtype: StaticString) -> Int {
        guard var rest = field else { return 1000 }
        var best: (specificity: Int, quality: Int) = (-1, 0)
        var isEmpty = true
        while let element = rest.takeElement(before: UInt8(ascii: ",")) {
            guard let range = MediaRange(element) else { continue }
            isEmpty = false
            let specificity = range.specificity(for: type, subtype)
            if specificity > best.specificity { best = (specificity, range.quality) }
        }
        return isEmpty ? 1000 : best.quality
    }

    private struct MediaRange {
        private var type: UnsafeRawBufferPointer
        private var subtype: UnsafeRawBufferPointer
        let quality: Int

        init?(_ element: UnsafeRawBufferPointer) {
            var rest = element
            guard var name = rest.takeElement(before: UInt8(ascii: ";"))?.trimmed(),
                let type = name.takeElement(before: UInt8(ascii: "/")), !type.isEmpty,
                !name.isEmpty
            else { return nil }
            self.type = type
            subtype = name
            guard let quality = Accept.quality(ofParameters: rest) else { return nil }
            self.quality = quality
        }

        /// -1 where it does not hold the type.
        func specificity(for type: StaticString, _ subtype: StaticString) -> Int {
            if self.type.isEqual(to: "*"), self.subtype.isEqual(to: "*") { return 0 }
            guard self.type.isEqualIgnoringCase(to: type) else { return -1 }
            if self.subtype.isEqual(to: "*") { return 1 }
            return self.subtype.isEqualIgnoringCase(to: subtype) ? 2 : -1
        }
    }

    /// The weight among parameters, in thousandths; nil where it cannot be read (§12.4.2).
    static func quality(ofParameters parameters: UnsafeRawBufferPointer) -> Int? {
        var rest = parameters
        var quality = 1000
        while let parameter = rest.takeElement(before: UInt8(ascii: ";")) {
            var value = parameter.trimmed()
            guard let key = value.takeElement(before: UInt8(ascii: "=")),
                key.isEqualIgnoringCase(to: "q")
            else { continue }
            guard let weight = self.quality(value) else { return nil }
            quality = weight
        }
        return quality
    }

    /// A digit, 0 or 1, and up to three decimals.
    private static func quality(_ text: UnsafeRawBufferPointer) -> Int? {
        guard let whole = text.first?.decimalDigit, whole <= 1, text.count <= 5 else {
            return nil
        }
        var thousandths = Int(whole) * 1000
        var weight = 100
        for (index, byte) in text.dropFirst().enumerated() {
            if index == 0 {
                guard byte == UInt8(ascii: ".") else { return nil }
                continue
            }
            guard let digit = byte.decimalDigit else { return nil }
            thousandths += Int(digit) * weight
            weight /= 10
        }
        return thousandths <= 1000 ? thousandths : nil
    }
}

/// Reading what a request brings as bytes, without making strings of it.
extension UnsafeRawBufferPointer {
    func isEqual(to text: StaticString) -> Bool {
        text.withUTF8Buffer { elementsEqual($0) }
    }

    func isEqual(to text: String) -> Bool { elementsEqual(text.utf8) }

    /// - Parameter text: lower case.
    func isEqualIgnoringCase(to text: StaticString) -> Bool {
        text.withUTF8Buffer { text in
            count == text.count && zip(self, text).allSatisfy { $0.asciiLowercased == $1 }
        }
    }

    func isEqualIgnoringCase(to other: UnsafeRawBufferPointer) -> Bool {
        count == other.count
            && zip(self, other).allSatisfy { $0.asciiLowercased == $1.asciiLowercased }
    }

    func hasPrefix(_ text: StaticString) -> Bool {
        text.withUTF8Buffer { starts(with: $0) }
    }

    func removing(prefixCount: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: dropFirst(prefixCount))
    }

    /// Without SP and HTAB at both ends (OWS, RFC 9110 §5.6.3).
    func trimmed() -> UnsafeRawBufferPointer {
        var slice = self[...]
        while let first = slice.first, first.isBlank { slice.removeFirst() }
        while let last = slice.last, last.isBlank { slice.removeLast() }
        return UnsafeRawBufferPointer(rebasing: slice)
    }

    /// Takes what comes before the next `separator`, or all; nil at the end.
    ///
    /// What ends with a separator has no empty element behind it.
    mutating func takeElement(before separator: UInt8) -> UnsafeRawBufferPointer? {
        if isEmpty { return nil }
        let end = firstIndex(of: separator) ?? count
        let element = UnsafeRawBufferPointer(rebasing: self[..<end])
        self = UnsafeRawBufferPointer(rebasing: self[Swift.min(end + 1, count)...])
        return element
    }

    /// The integer, where these are decimal digits, maybe after a minus, and nothing else.
    var decimalInteger: Int64? {
        let isNegative = first == UInt8(ascii: "-")
        let digits = isNegative ? removing(prefixCount: 1) : self
        if digits.isEmpty { return nil }
        var value: Int64 = 0
        for byte in digits {
            guard let digit = byte.decimalDigit else { return nil }
            let (scaled, overflows) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflowsToo) = scaled.addingReportingOverflow(isNegative ? -digit : digit)
            if overflows || overflowsToo { return nil }
            value = sum
        }
        return value
    }

    /// nil where it is not UTF-8.
    var validString: String? { String(validating: self, as: UTF8.self) }
}

extension UInt8 {
    var asciiLowercased: UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) ? self | 0x20 : self
    }

    var isBlank: Bool { self == UInt8(ascii: " ") || self == UInt8(ascii: "\t") }

    var decimalDigit: Int64? {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self)
            ? Int64(self - UInt8(ascii: "0")) : nil
    }

    var hexadecimalDigit: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// Percent-encoding (RFC 3986 §2.1) as URLs and forms use it.
enum PercentEncoding {
    /// Whether every `%` is followed by two hexadecimal digits.
    static func isWellFormed(_ text: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while index < text.count {
            if text[index] == UInt8(ascii: "%") {
                guard index + 2 < text.count, text[index + 1].hexadecimalDigit != nil,
                    text[index + 2].hexadecimalDigit != nil
                else { return false }
                index += 2
            }
            index += 1
        }
        return true
    }

    /// Decodes as forms do, with `+` for a space; nil for a bad escape.
    static func decodeForm(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            switch text[index] {
            case UInt8(ascii: "%"):
                guard index + 2 < text.count, let high = text[index + 1].hexadecimalDigit,
                    let low = text[index + 2].hexadecimalDigit
                else { return nil }
                bytes.append(high << 4 | low)
                index += 2
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
            case let byte: bytes.append(byte)
            }
            index += 1
        }
        return bytes
    }
}

/// Rows of comma-separated values (RFC 4180).
struct CSVWriter {
    private(set) var bytes: [UInt8] = []
    private var isAtStartOfRow = true

    init() {}

    mutating func endRow() {
        bytes.append(UInt8(ascii: "\r"))
        bytes.append(UInt8(ascii: "\n"))
        isAtStartOfRow = true
    }

    /// A value, quoted where it has to be.
    mutating func value(_ text: String) {
        separate()
        let needsQuotes = text.utf8.contains {
            $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "\r")
                || $0 == UInt8(ascii: "\n")
        }
        guard needsQuotes else { return bytes.append(contentsOf: text.utf8) }
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            if byte == UInt8(ascii: "\"") { bytes.append(byte) }
            bytes.append(byte)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// A text that a stranger chose: an apostrophe in front of what a spreadsheet would take for a
    /// formula.
    mutating func foreignValue(_ text: String) {
        switch text.utf8.first {
        case UInt8(ascii: "="), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "@"),
            UInt8(ascii: "\t"), UInt8(ascii: "\r"):
            value("'" + text)
        default: value(text)
        }
    }

    /// Integers joined by semicolons, which need no quotes.
    mutating func value(_ integers: [Int64]) {
        separate()
        for (index, integer) in integers.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ";")) }
            bytes.append(contentsOf: String(integer).utf8)
        }
    }

    private mutating func separate() {
        if !isAtStartOfRow { bytes.append(UInt8(ascii: ",")) }
        isAtStartOfRow = false
    }
}

/// Base64 with the URL alphabet and no padding (RFC 4648 §5). One value has one spelling, so a token
/// that was altered anywhere is refused.
package enum Base64URL {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count * 4 + 2) / 3)
        var pending: UInt32 = 0
        var pendingBits = 0
        for byte in bytes {
            pending = pending << 8 | UInt32(byte)
            pendingBits += 8
            while pendingBits >= 6 {
                pendingBits -= 6
                text.append(alphabet[Int(pending >> UInt32(pendingBits) & 63)])
            }
        }
        if pendingBits > 0 {
            text.append(alphabet[Int(pending << UInt32(6 - pendingBits) & 63)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// - Returns: nil unless `text` is exactly what `encode` makes of `byteCount` bytes.
    package static func decode(_ text: UnsafeRawBufferPointer, byteCount: Int) -> [UInt8]? {
        text.count == (byteCount * 4 + 2) / 3 ? decode(text) : nil
    }

    /// - Returns: nil unless `text` is exactly what `encode` makes of some bytes.
    static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        // A last group of one character holds less than a byte.
        guard text.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count * 3 / 4)
        var pending: UInt32 = 0
        var pendingBits = 0
        for character in text {
            guard let value = value(of: character) else { return nil }
            pending = pending << 6 | value
            pendingBits += 6
            if pendingBits >= 8 {
                pendingBits -= 8
                bytes.append(UInt8(truncatingIfNeeded: pending >> UInt32(pendingBits)))
            }
        }
        // What is left over is less than a byte, and zero where the text is canonical.
        guard pending & ((1 << UInt32(pendingBits)) - 1) == 0 else { return nil }
        return bytes
    }

    private static func value(of character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }
}

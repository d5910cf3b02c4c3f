/// Why a URL names no server; never repeats it, since it may hold a password.
package struct BadURL: Error, Equatable {
    package let reason: String

    package init(_ reason: String) { self.reason = reason }
}

/// Parts of the URLs by which servers are named (RFC 3986), strictly.
package enum URLPieces {
    /// `host`, `host:port` or `[::1]:port`.
    /// - Throws: where it names no host, or a port outside of 1 to 65535.
    package static func address(_ text: Substring, standardPort: Int32) throws(BadURL)
        -> (host: String, port: Int32)
    {
        var host = text
        var port: Substring?
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { throw BadURL("has no ] after its [") }
            host = text[text.index(after: text.startIndex)..<end]
            let after = text[text.index(after: end)...]
            guard after.isEmpty || after.hasPrefix(":") else { throw BadURL("has no port after ]") }
            port = after.isEmpty ? nil : after.dropFirst()
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw BadURL("names no host")
        }
        guard let port else { return (String(host), standardPort) }
        return (String(host), Int32(try number(port, in: 1...65_535, "port")))
    }

    /// A number in digits alone.
    /// - Throws: where it is none, or not in `range`; the text says that `what` is bad.
    package static func number(_ text: Substring, in range: ClosedRange<Int>, _ what: String)
        throws(BadURL) -> Int
    {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(text), range.contains(number)
        else { throw BadURL("has a bad \(what)") }
        return number
    }

    /// What stands percent-encoded (§2.1). It goes to C, so it holds no zero.
    /// - Throws: for escapes that are none, zeros, and what is not UTF-8.
    package static func decode(_ text: Substring) throws(BadURL) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexadecimal),
                let low = rest.popFirst().flatMap(hexadecimal)
            else { throw BadURL("has a % that is not followed by two hexadecimal digits") }
            bytes.append(high << 4 | low)
        }
        guard !bytes.contains(0), let decoded = String(validating: bytes, as: UTF8.self) else {
            throw BadURL("has a part that is not UTF-8")
        }
        return decoded
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8? {
        Character(UnicodeScalar(digit)).hexDigitValue.map { UInt8($0) }
    }
}

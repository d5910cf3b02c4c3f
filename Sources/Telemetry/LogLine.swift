import Glibc

/// One line of the log, before and after it is written out. Whatever is in the message and the
/// facts, it stays one line, and nothing in it drives a terminal.
struct LogLine {
    /// POSIX writes so many bytes to a pipe in one piece (PIPE_BUF on Linux): lines of processes that
    /// share one do not mix.
    static let limitBytes = 4_096

    /// Unix milliseconds.
    let at: Int64
    let level: String
    let message: String
    /// In the order in which they are shown.
    let facts: [(name: String, value: String)]

    init(at: Int64, level: String, message: String, facts: [(String, String)]) {
        self.at = at
        self.level = level
        self.message = message
        self.facts = facts.map { (name: $0.0, value: $0.1) }
    }

    /// At most `limitBytes`, the newline included. What is too long loses its end, in JSON the
    /// facts that do not fit.
    func bytes(as format: Log.Format) -> [UInt8] {
        switch format {
        case .text: text()
        case .json: json()
        }
    }

    private func text() -> [UInt8] {
        var line = "\(Self.rfc3339(at)) \(level) \(Self.escaped(message))"
        for fact in facts {
            line += " \(Self.escaped(fact.name))=\(Self.quotedIfNeeded(fact.value))"
        }
        return Self.cut(line, to: Self.limitBytes - 1) + [0x0A]
    }

    private func json() -> [UInt8] {
        let head = "{\"time\":\"\(Self.rfc3339(at))\",\"level\":\"\(level)\",\"message\":\""
        // Escapes only make it longer, so half of the line is left for the facts.
        var message = message
        while Self.escaped(message, quotes: true).utf8.count > Self.limitBytes / 2 {
            message = String(message.unicodeScalars.prefix(message.unicodeScalars.count / 2))
        }
        var line = head + Self.escaped(message, quotes: true) + "\""
        for fact in facts {
            let member =
                ",\"\(Self.escaped(fact.name, quotes: true))\""
                + ":\"\(Self.escaped(fact.value, quotes: true))\""
            if line.utf8.count + member.utf8.count > Self.limitBytes - 2 { continue }
            line += member
        }
        return Array((line + "}\n").utf8)
    }

    /// The first `count` bytes of `line`, without half a character at the end.
    private static func cut(_ line: String, to count: Int) -> [UInt8] {
        var bytes = Array(line.utf8.prefix(count))
        guard line.utf8.count > count else { return bytes }
        while let last = bytes.last, last & 0xC0 == 0x80 { bytes.removeLast() }
        if let last = bytes.last, last >= 0xC0 { bytes.removeLast() }
        return bytes
    }

    private static func quotedIfNeeded(_ value: String) -> String {
        let plain = value.utf8.allSatisfy { byte in
            byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "=")
                && byte != UInt8(ascii: "\\")
        }
        return plain && !value.isEmpty ? value : "\"\(escaped(value, quotes: true))\""
    }

    /// Escapes as JSON does (RFC 8259, section 7) what would end the line, move the cursor (C0, DEL,
    /// C1) or turn the direction of reading (the bidirectional controls; line and paragraph
    /// separators).
    static func escaped(_ text: String, quotes: Bool = false) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x0A: result += "\\n"
            case 0x0D: result += "\\r"
            case 0x09: result += "\\t"
            case 0x5C: result += "\\\\"
            case 0x22 where quotes: result += "\\\""
            case 0..<0x20, 0x7F..<0xA0, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// With milliseconds, in UTC.
    static func rfc3339(_ milliseconds: Int64) -> String {
        let (seconds, rest) = milliseconds.quotientAndRemainder(dividingBy: 1_000)
        var time = time_t(seconds)
        var parts = tm()
        gmtime_r(&time, &parts)
        func padded(_ number: some BinaryInteger, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date =
            "\(padded(parts.tm_year + 1900, 4))-\(padded(parts.tm_mon + 1, 2))"
            + "-\(padded(parts.tm_mday, 2))"
        let clock =
            "\(padded(parts.tm_hour, 2)):\(padded(parts.tm_min, 2)):\(padded(parts.tm_sec, 2))"
        return "\(date)T\(clock).\(padded(rest, 3))Z"
    }
}

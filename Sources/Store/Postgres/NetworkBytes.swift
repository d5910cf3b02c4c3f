import Polls

/// Values as PostgreSQL's binary formats have them: big endian, each field behind its length.
struct NetworkBytes {
    private var bytes: [UInt8] = []

    var count: Int { bytes.count }

    mutating func append(_ value: UInt8) { bytes.append(value) }

    mutating func append(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func append(_ values: [UInt8]) { bytes.append(contentsOf: values) }

    mutating func append(_ key: BallotKey) {
        append(key.high)
        append(key.low)
    }

    /// PostgreSQL stores no zero byte in a text: U+0000 becomes U+FFFD.
    mutating func append(utf8 text: String) {
        var text = text
        text.withUTF8 { utf8 in
            if utf8.contains(0) {
                for byte in utf8 {
                    if byte == 0 {
                        bytes.append(contentsOf: "\u{FFFD}".utf8)
                    } else {
                        bytes.append(byte)
                    }
                }
            } else {
                bytes.append(contentsOf: utf8)
            }
        }
    }

    /// Whatever `body` appends, behind its length.
    mutating func appendField(_ body: (inout NetworkBytes) -> Void) {
        let start = bytes.count
        append(0 as Int32)
        body(&self)
        let length = Int32(bytes.count - start - 4)
        Swift.withUnsafeBytes(of: length.bigEndian) {
            bytes.replaceSubrange(start..<start + 4, with: $0)
        }
    }

    mutating func appendNull() { append(-1 as Int32) }

    func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try bytes.withUnsafeBytes(body)
    }
}

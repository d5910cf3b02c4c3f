/// The keys of the file that `--voter-key` names: one a line, the first of which signs. A new key
/// goes to the top, and the old one stays below until nobody needs its cookies any more.
package struct VoterKeyFile: Sendable {
    package static let keyLimit = 16
    /// Of a line: what `openssl rand -base64 32` gives has 44.
    private static let byteCounts = 32...1_024

    package let keys: [[UInt8]]

    /// Blank lines and those that begin with # say nothing.
    /// - Throws: the first line that is no key, by its number, without what it holds.
    package init(_ bytes: [UInt8]) throws(KeyFileError) {
        var keys: [[UInt8]] = []
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            if line.isEmpty || line.first == UInt8(ascii: "#") { continue }
            guard Self.byteCounts.contains(line.count),
                line.allSatisfy({ (0x21...0x7E).contains($0) })
            else {
                throw KeyFileError(
                    reason: "line \(index + 1) is no key of 32 or more printable characters "
                        + "(openssl rand -base64 32)")
            }
            guard !keys.contains(Array(line)) else {
                throw KeyFileError(reason: "line \(index + 1) repeats a key")
            }
            keys.append(Array(line))
        }
        guard (1...Self.keyLimit).contains(keys.count) else {
            throw KeyFileError(
                reason: "holds \(keys.count) keys; 1 to \(Self.keyLimit) are taken")
        }
        self.keys = keys
    }
}

/// What is wrong with a file of keys, to follow its name: "is empty".
package struct KeyFileError: Error, Equatable, CustomStringConvertible {
    package let reason: String

    package var description: String { reason }
}

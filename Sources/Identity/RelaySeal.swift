/// Tells messages of gateways on the same database from all others on the same Redis: who can
/// publish there, but has not the database's key, can change no tally. Any thread.
package final class RelaySeal: Sendable {
    /// Characters of a seal: 16 bytes in hexadecimal.
    package static let characterCount = 32
    private static let digits = Array("0123456789abcdef".utf8)

    private let code: MessageCode

    /// - Parameter key: 32 bytes that all gateways on one database share.
    package init(key: [UInt8]) { code = MessageCode(key: key) }

    /// The first 16 bytes of HMAC-SHA256(key, label ‖ `bytes`), as ASCII.
    package func seal(_ bytes: some Collection<UInt8>) -> [UInt8] {
        hexadecimal(CodeLabel.relayMessage, Array(bytes))
    }

    package func isSealed(_ bytes: some Collection<UInt8>, by seal: some Collection<UInt8>) -> Bool
    {
        self.seal(bytes).withUnsafeBytes { expected in
            Array(seal).withUnsafeBytes { isEqualInConstantTime(expected, $0) }
        }
    }

    /// What the channels of these gateways are named after; tells nothing of the key.
    package var clusterName: String {
        String(decoding: hexadecimal(CodeLabel.relayChannels, []).prefix(12), as: UTF8.self)
    }

    private func hexadecimal(_ label: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        bytes.withUnsafeBytes { bytes in
            code.withCode(of: label, bytes) { code in
                code.prefix(Self.characterCount / 2).flatMap {
                    [Self.digits[Int($0 >> 4)], Self.digits[Int($0 & 15)]]
                }
            }
        }
    }
}

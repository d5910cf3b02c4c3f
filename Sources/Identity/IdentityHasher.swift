package import Polls

/// Turns a voter's identity into the key of the one-ballot rule. Keyed, so that nobody who reads
/// the database alone can find out a voter by trying names. Any thread.
package final class IdentityHasher: Sendable {
    private let code: MessageCode

    /// - Parameter key: 32 bytes that all gateways on one database share.
    package init(key: [UInt8]) { code = MessageCode(key: key) }

    /// The first 10 bytes of HMAC-SHA256(key, kind byte ‖ value). Two voters among a million in one
    /// poll share these 80 bits with a probability below 2^-40.
    package func voterKey(for identity: VoterIdentity) -> VoterKey {
        switch identity {
        case .name(let name): voterKey(CodeLabel.voterName, name)
        case .subject(let subject): voterKey(CodeLabel.voterSubject, subject)
        case .token(let id):
            withUnsafeBytes(of: (id.high.bigEndian, id.low.bigEndian)) {
                voterKey(CodeLabel.voterTokenID, $0)
            }
        }
    }

    private func voterKey(_ label: UInt8, _ text: String) -> VoterKey {
        var text = text
        return text.withUTF8 { voterKey(label, UnsafeRawBufferPointer($0)) }
    }

    private func voterKey(_ label: UInt8, _ bytes: UnsafeRawBufferPointer) -> VoterKey {
        code.withCode(of: label, bytes) {
            VoterKey(
                high: UInt16(bigEndian: $0.loadUnaligned(as: UInt16.self)),
                low: UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 2, as: UInt64.self)))
        }
    }
}

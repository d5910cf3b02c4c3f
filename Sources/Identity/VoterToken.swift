import Threads

/// The gateway's own voter credential: 16 random bytes and a MAC, as `psv_…` in a cookie or as a
/// bearer token.
package enum VoterToken {
    package static let prefix = "psv_"

    package struct ID: Hashable, Sendable {
        package let high: UInt64
        package let low: UInt64

        package init(high: UInt64, low: UInt64) {
            self.high = high
            self.low = low
        }

        /// 128 random bits: nobody guesses another voter's.
        package static func random() -> ID {
            ID(high: .random(in: 0 ... .max), low: .random(in: 0 ... .max))
        }
    }
}

/// Makes and checks voter tokens. Any thread.
package final class VoterTokenSigner: @unchecked Sendable {
    private static let codeByteCount = 16
    private static let idByteCount = 16

    // Guarded by `monitor`: replaced while loops sign and verify. Never empty.
    private let monitor = Monitor()
    private var codes: [MessageCode]

    /// - Parameter keys: at least one, of at least 16 bytes each; the first signs, and what any of
    ///   them signed is valid.
    package init(keys: [[UInt8]]) {
        precondition(!keys.isEmpty, "nothing to sign with")
        codes = keys.map(MessageCode.init)
    }

    package convenience init(key: [UInt8]) { self.init(keys: [key]) }

    /// Tokens of keys that are not among these are refused from here on.
    package func replaceKeys(_ keys: [[UInt8]]) {
        precondition(!keys.isEmpty, "nothing to sign with")
        let codes = keys.map(MessageCode.init)
        monitor.withLock { self.codes = codes }
    }

    private var currentCodes: [MessageCode] { monitor.withLock { codes } }

    /// `psv_` and base64url of the id followed by the first 16 bytes of its code: 47 characters.
    package func mint(_ id: VoterToken.ID) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.idByteCount + Self.codeByteCount)
        withUnsafeBytes(of: (id.high.bigEndian, id.low.bigEndian)) { idBytes in
            bytes.append(contentsOf: idBytes)
            currentCodes[0].withCode(of: CodeLabel.voterToken, idBytes) {
                bytes.append(contentsOf: $0.prefix(Self.codeByteCount))
            }
        }
        return VoterToken.prefix + Base64URL.encode(bytes)
    }

    /// - Parameter token: all of it, with its prefix.
    /// - Returns: nil for anything `mint` did not make under one of the keys.
    package func verify(_ token: UnsafeRawBufferPointer) -> VoterToken.ID? {
        guard token.starts(with: VoterToken.prefix.utf8),
            let bytes = Base64URL.decode(
                UnsafeRawBufferPointer(rebasing: token.dropFirst(VoterToken.prefix.utf8.count)),
                byteCount: Self.idByteCount + Self.codeByteCount)
        else { return nil }
        return bytes.withUnsafeBytes { bytes in
            let id = UnsafeRawBufferPointer(rebasing: bytes.prefix(Self.idByteCount))
            let presented = UnsafeRawBufferPointer(rebasing: bytes.suffix(Self.codeByteCount))
            guard currentCodes.contains(where: { isCode(presented, of: id, by: $0) }) else {
                return nil
            }
            return VoterToken.ID(
                high: UInt64(bigEndian: id.loadUnaligned(as: UInt64.self)),
                low: UInt64(bigEndian: id.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        }
    }

    private func isCode(
        _ presented: UnsafeRawBufferPointer, of id: UnsafeRawBufferPointer, by code: MessageCode
    ) -> Bool {
        code.withCode(of: CodeLabel.voterToken, id) {
            isEqualInConstantTime(
                presented, UnsafeRawBufferPointer(rebasing: $0.prefix(Self.codeByteCount)))
        }
    }
}

import CLibcrypto

/// HMAC-SHA256 (RFC 2104) under one key, made ready once: a code costs a copy of the keyed state
/// (670 ns here) instead of a key schedule and an algorithm look-up (`HMAC()`: 2,000 ns).
///
/// `@unchecked Sendable`: the keyed state is never written after `init`; each code is computed in a
/// duplicate of its own.
final class MessageCode: @unchecked Sendable {
    static let byteCount = 32

    private let keyed: OpaquePointer

    /// - Parameter key: at least 16 bytes.
    init(key: [UInt8]) {
        precondition(key.count >= 16, "a key of \(key.count) bytes can be guessed")
        guard let algorithm = EVP_MAC_fetch(nil, "HMAC", nil),
            let keyed = EVP_MAC_CTX_new(algorithm)
        else { fatalError("libcrypto has no HMAC") }
        EVP_MAC_free(algorithm)
        // A parameter keeps both pointers: its name must live as long as its value.
        let isReady = "digest".withCString { name in
            "SHA256".withCString { digest in
                var parameters = [
                    OSSL_PARAM_construct_utf8_string(
                        name, UnsafeMutablePointer(mutating: digest), 0),
                    OSSL_PARAM_construct_end(),
                ]
                return EVP_MAC_init(keyed, key, key.count, &parameters)
            }
        }
        guard isReady == 1 else { fatalError("libcrypto has no HMAC-SHA256") }
        self.keyed = keyed
    }

    deinit { EVP_MAC_CTX_free(keyed) }

    /// Calls `body` with the 32-byte code of `label` followed by `bytes`.
    func withCode<R>(
        of label: UInt8, _ bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> R
    ) -> R {
        withCode(of: Optional(label), bytes, body)
    }

    /// Calls `body` with the 32-byte code of `bytes` alone: what others define (RFC 7518 §3.2), whose
    /// key must therefore be of no other use.
    func withUnlabelledCode<R>(
        of bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> R
    ) -> R {
        withCode(of: nil, bytes, body)
    }

    private func withCode<R>(
        of label: UInt8?, _ bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> R
    ) -> R {
        guard let context = EVP_MAC_CTX_dup(keyed) else { fatalError("out of memory") }
        defer { EVP_MAC_CTX_free(context) }
        let labelCount = label == nil ? 0 : 1
        var label = label ?? 0
        return withUnsafeTemporaryAllocation(byteCount: Self.byteCount, alignment: 8) { code in
            var count = 0
            let isDone =
                EVP_MAC_update(context, &label, labelCount) == 1
                && EVP_MAC_update(
                    context, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
                    == 1
                && EVP_MAC_final(
                    context, code.baseAddress?.assumingMemoryBound(to: UInt8.self), &count,
                    code.count) == 1
            precondition(isDone && count == Self.byteCount, "libcrypto refused to compute a code")
            return body(UnsafeRawBufferPointer(code))
        }
    }
}

/// What a code is for: its first byte, so that no code made for one purpose is valid for another,
/// even if an operator gives both purposes the same key.
enum CodeLabel {
    static let voterName: UInt8 = 1
    static let voterTokenID: UInt8 = 2
    static let voterSubject: UInt8 = 3
    static let relayMessage: UInt8 = 4
    static let relayChannels: UInt8 = 5
    static let voterToken: UInt8 = 0x80
}

/// Whether both hold the same bytes, in a time that does not depend on where they differ.
func isEqualInConstantTime(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count else { return false }
    guard let aStart = a.baseAddress, let bStart = b.baseAddress else { return true }
    return CRYPTO_memcmp(aStart, bStart, a.count) == 0
}

/// How a JWT is signed (RFC 7518 §3.1, RFC 8037 §3.1): the four that are taken.
enum JWTAlgorithm: String, CaseIterable {
    case hs256 = "HS256"
    case rs256 = "RS256"
    case es256 = "ES256"
    case edDSA = "EdDSA"
}

/// One key that verifies JWTs. Its type fixes the algorithm, so that none can be confused with
/// another: what is public never keys a MAC.
struct JWTKey: Sendable {
    private enum Material: Sendable {
        case secret(MessageCode)
        case publicKey(PublicKey)
    }

    /// At least as long as the hash (RFC 7518 §3.2).
    static let secretByteCounts = 32...1_024

    let algorithm: JWTAlgorithm
    /// What a token names it by; nil: it serves every name.
    let id: String?
    private let material: Material

    init(secret: [UInt8], id: String?) throws(BadKey) {
        guard Self.secretByteCounts.contains(secret.count) else {
            throw BadKey(
                "is a secret of \(secret.count) bytes; 32 to 1024 are taken "
                    + "(openssl rand -base64 48)")
        }
        self.id = id
        algorithm = .hs256
        material = .secret(MessageCode(key: secret))
    }

    init(_ key: PublicKey, id: String?) {
        self.id = id
        algorithm =
            switch key.kind {
            case .rsa: .rs256
            case .p256: .es256
            case .ed25519: .edDSA
            }
        material = .publicKey(key)
    }

    func isSignature(_ signature: UnsafeRawBufferPointer, of bytes: UnsafeRawBufferPointer) -> Bool
    {
        switch material {
        case .secret(let code):
            code.withUnlabelledCode(of: bytes) { isEqualInConstantTime(signature, $0) }
        case .publicKey(let key): key.isSignature(signature, of: bytes)
        }
    }
}

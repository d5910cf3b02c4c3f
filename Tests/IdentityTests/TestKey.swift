import CLibcrypto

@testable import Identity

/// A key pair made for a test, and tokens signed with it, by OpenSSL's other half.
final class TestKey {
    private let key: OpaquePointer
    let algorithm: JWTAlgorithm

    static func rsa(bits: Int32 = 2_048) -> TestKey {
        TestKey(.rs256, "RSA") { EVP_PKEY_CTX_set_rsa_keygen_bits($0, bits) }
    }

    static func ec(group: String = "P-256") -> TestKey {
        TestKey(.es256, "EC") { EVP_PKEY_CTX_set_group_name($0, group) }
    }

    static func ed25519() -> TestKey { TestKey(.edDSA, "ED25519") { _ in 1 } }

    static func other(_ type: String) -> TestKey { TestKey(.rs256, type) { _ in 1 } }

    private init(
        _ algorithm: JWTAlgorithm, _ type: String, configure: (OpaquePointer) -> Int32
    ) {
        let context = EVP_PKEY_CTX_new_from_name(nil, type, nil)!
        defer { EVP_PKEY_CTX_free(context) }
        precondition(EVP_PKEY_keygen_init(context) == 1)
        precondition(configure(context) == 1)
        var key: OpaquePointer?
        precondition(EVP_PKEY_keygen(context, &key) == 1)
        self.key = key!
        self.algorithm = algorithm
    }

    deinit { EVP_PKEY_free(key) }

    // MARK: As files hold it

    var pem: String { text { PEM_write_bio_PUBKEY($0, key) } }

    var privatePEM: String { text { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) } }

    /// The public key in DER.
    var der: [UInt8] {
        var start: UnsafeMutablePointer<UInt8>?
        let count = Int(i2d_PUBKEY(key, &start))
        defer { CRYPTO_free(start, nil, 0) }
        return Array(UnsafeBufferPointer(start: start, count: count))
    }

    /// The members of a JWK, without its braces.
    var jwk: String {
        switch algorithm {
        case .rs256: "\"kty\":\"RSA\",\"n\":\"\(number("n"))\",\"e\":\"\(number("e"))\""
        case .es256:
            "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"\(number("qx", 32))\","
                + "\"y\":\"\(number("qy", 32))\""
        default: "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"\(raw)\""
        }
    }

    private var raw: String {
        var bytes = [UInt8](repeating: 0, count: 32)
        var count = 32
        precondition(EVP_PKEY_get_raw_public_key(key, &bytes, &count) == 1)
        return Base64URL.encode(bytes)
    }

    private func number(_ name: String, _ byteCount: Int? = nil) -> String {
        var number: OpaquePointer?
        precondition(EVP_PKEY_get_bn_param(key, name, &number) == 1)
        defer { BN_free(number) }
        let count = byteCount ?? Int(BN_num_bits(number) + 7) / 8
        var bytes = [UInt8](repeating: 0, count: count)
        precondition(BN_bn2binpad(number, &bytes, Int32(count)) >= 0)
        return Base64URL.encode(bytes)
    }

    private func text(_ write: (OpaquePointer) -> Int32) -> String {
        let memory = BIO_new(BIO_s_mem())!
        defer { BIO_free(memory) }
        precondition(write(memory) == 1)
        var bytes = [CChar](repeating: 0, count: 8_192)
        let count = BIO_read(memory, &bytes, Int32(bytes.count))
        return String(decoding: bytes.prefix(Int(count)).map(UInt8.init), as: UTF8.self)
    }

    // MARK: Signing

    /// - Parameter header: JSON; nil: the usual one.
    func token(_ claims: String, header: String? = nil) -> String {
        signedToken(header ?? "{\"alg\":\"\(algorithm.rawValue)\"}", claims) {
            sign(Array($0.utf8))
        }
    }

    func sign(_ bytes: [UInt8]) -> [UInt8] {
        let context = EVP_MD_CTX_new()!
        defer { EVP_MD_CTX_free(context) }
        let digest = algorithm == .edDSA ? nil : EVP_sha256()
        precondition(EVP_DigestSignInit(context, nil, digest, nil, key) == 1)
        var signature = [UInt8](repeating: 0, count: 2_048)
        var count = signature.count
        precondition(EVP_DigestSign(context, &signature, &count, bytes, bytes.count) == 1)
        let made = Array(signature.prefix(count))
        return algorithm == .es256 ? Self.jose(made) : made
    }

    private static func jose(_ der: [UInt8]) -> [UInt8] {
        der.withUnsafeBufferPointer { der in
            var start = der.baseAddress
            let pair = d2i_ECDSA_SIG(nil, &start, der.count)
            defer { ECDSA_SIG_free(pair) }
            var bytes = [UInt8](repeating: 0, count: 64)
            bytes.withUnsafeMutableBufferPointer {
                _ = BN_bn2binpad(ECDSA_SIG_get0_r(pair), $0.baseAddress, 32)
                _ = BN_bn2binpad(ECDSA_SIG_get0_s(pair), $0.baseAddress! + 32, 32)
            }
            return bytes
        }
    }
}

/// A token signed with a secret.
func secretToken(
    _ secret: [UInt8], _ claims: String, header: String = "{\"alg\":\"HS256\"}"
) -> String {
    signedToken(header, claims) { text in
        Array(text.utf8).withUnsafeBytes { bytes in
            MessageCode(key: secret).withUnlabelledCode(of: bytes) { Array($0) }
        }
    }
}

func signedToken(_ header: String, _ claims: String, _ sign: (String) -> [UInt8]) -> String {
    let signed = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(claims.utf8))
    return signed + "." + Base64URL.encode(sign(signed))
}

import CLibcrypto

/// A public key of one of three kinds, checked when it is made, and what it verifies. Any thread.
///
/// `@unchecked Sendable`: OpenSSL counts references to a key and guards its caches; nothing writes
/// to it after `init`.
final class PublicKey: @unchecked Sendable {
    /// The kind of a key fixes its algorithm: nothing that a token says can choose another.
    enum Kind { case rsa, p256, ed25519 }

    let kind: Kind
    private let key: OpaquePointer

    private init(_ key: OpaquePointer, _ kind: Kind) {
        self.key = key
        self.kind = kind
    }

    /// - Parameter key: taken, also where it is refused.
    private static func checked(taking key: OpaquePointer) throws(BadKey) -> PublicKey {
        do throws(BadKey) {
            let kind = try kind(of: key)
            guard let context = EVP_PKEY_CTX_new(key, nil) else { fatalError("out of memory") }
            defer { EVP_PKEY_CTX_free(context) }
            guard EVP_PKEY_public_check(context) == 1 else { throw BadKey("is no valid key") }
            return PublicKey(key, kind)
        } catch {
            EVP_PKEY_free(key)
            ERR_clear_error()
            throw error
        }
    }

    deinit { EVP_PKEY_free(key) }

    private static func kind(of key: OpaquePointer) throws(BadKey) -> Kind {
        let bitCount = EVP_PKEY_get_bits(key)
        // "RSA" is the key of PKCS #1; OpenSSL calls one that is for PSS alone "RSA-PSS".
        if EVP_PKEY_is_a(key, "RSA") == 1 {
            guard (2_048...8_192).contains(bitCount) else {
                throw BadKey("is an RSA key of \(bitCount) bits; 2048 to 8192 are taken")
            }
            return .rsa
        }
        if EVP_PKEY_is_a(key, "ED25519") == 1 { return .ed25519 }
        if EVP_PKEY_is_a(key, "EC") == 1 {
            var name = [CChar](repeating: 0, count: 64)
            var count = 0
            guard EVP_PKEY_get_group_name(key, &name, name.count, &count) == 1 else {
                throw BadKey("is on a curve without a name")
            }
            let curve = String(decoding: name.prefix(count).map(UInt8.init), as: UTF8.self)
            guard curve == "prime256v1" else {
                throw BadKey("is on the curve \(curve); P-256 is taken")
            }
            return .p256
        }
        throw BadKey("is of a kind that is not taken; RSA, P-256 and Ed25519 are")
    }

    // MARK: Verifying

    /// - Parameter signature: as JOSE writes it (RFC 7518 §3.3 and §3.4, RFC 8037 §3.1).
    func isSignature(_ signature: UnsafeRawBufferPointer, of bytes: UnsafeRawBufferPointer) -> Bool
    {
        // The queue of errors is the thread's, and TLS on the same thread reads it.
        defer { ERR_clear_error() }
        switch kind {
        case .rsa: return verifies(signature, of: bytes, EVP_sha256())
        case .ed25519: return signature.count == 64 && verifies(signature, of: bytes, nil)
        case .p256:
            guard let der = Self.der(signature) else { return false }
            return der.withUnsafeBytes { verifies($0, of: bytes, EVP_sha256()) }
        }
    }

    private func verifies(
        _ signature: UnsafeRawBufferPointer, of bytes: UnsafeRawBufferPointer,
        _ digest: OpaquePointer?
    ) -> Bool {
        guard let context = EVP_MD_CTX_new() else { fatalError("out of memory") }
        defer { EVP_MD_CTX_free(context) }
        return EVP_DigestVerifyInit(context, nil, digest, nil, key) == 1
            && EVP_DigestVerify(
                context, signature.baseAddress?.assumingMemoryBound(to: UInt8.self),
                signature.count, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
                bytes.count) == 1
    }

    /// JOSE writes an ECDSA signature as two numbers of 32 bytes, OpenSSL reads a DER sequence.
    private static func der(_ signature: UnsafeRawBufferPointer) -> [UInt8]? {
        guard signature.count == 64, let pair = ECDSA_SIG_new() else { return nil }
        defer { ECDSA_SIG_free(pair) }
        let start = signature.baseAddress!.assumingMemoryBound(to: UInt8.self)
        guard let r = BN_bin2bn(start, 32, nil), let s = BN_bin2bn(start + 32, 32, nil),
            ECDSA_SIG_set0(pair, r, s) == 1  // takes both
        else { fatalError("out of memory") }
        // Two integers of at most 33 bytes, with their heads.
        var bytes = [UInt8](repeating: 0, count: 80)
        let count = bytes.withUnsafeMutableBufferPointer { buffer in
            var end = buffer.baseAddress
            return i2d_ECDSA_SIG(pair, &end)
        }
        return count > 0 ? Array(bytes.prefix(Int(count))) : nil
    }
}

/// What OpenSSL calls the parts of a key (provider-keymgmt(7)). A parameter keeps the pointers to its
/// name and its text: these live for ever.
private enum Name {
    static let modulus: StaticString = "n"
    static let exponent: StaticString = "e"
    static let group: StaticString = "group"
    static let point: StaticString = "pub"
    static let p256: StaticString = "prime256v1"
}

extension StaticString {
    /// A literal ends with a NUL.
    fileprivate var cString: UnsafePointer<CChar> {
        UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self)
    }
}

/// Why a key is not taken, to follow what it is: "is an RSA key of 1024 bits".
struct BadKey: Error, Equatable {
    let reason: String

    init(_ reason: String) { self.reason = reason }
}

// MARK: Made of what a file holds

extension PublicKey {
    /// Of the members of a JWK (RFC 7518 §6.3.1), big endian.
    static func rsa(modulus: [UInt8], exponent: [UInt8]) throws(BadKey) -> PublicKey {
        // Longer exponents cost time in each verification, and nobody uses them.
        guard exponent.count <= 4, modulus.count <= 1_024 else {
            throw BadKey("has numbers that are too long")
        }
        let n = bigNumber(modulus)
        let e = bigNumber(exponent)
        defer {
            BN_free(n)
            BN_free(e)
        }
        return try make(algorithm: "RSA") { builder in
            OSSL_PARAM_BLD_push_BN(builder, Name.modulus.cString, n) == 1
                && OSSL_PARAM_BLD_push_BN(builder, Name.exponent.cString, e) == 1
        }
    }

    /// Of the members of a JWK (RFC 7518 §6.2.1).
    static func p256(x: [UInt8], y: [UInt8]) throws(BadKey) -> PublicKey {
        guard x.count == 32, y.count == 32 else { throw BadKey("has no coordinates of 32 bytes") }
        let point = [4] + x + y  // uncompressed (SEC 1 §2.3.3)
        return try point.withUnsafeBufferPointer { (point) throws(BadKey) in
            try make(algorithm: "EC") { builder in
                OSSL_PARAM_BLD_push_utf8_string(
                    builder, Name.group.cString, Name.p256.cString, 0) == 1
                    && OSSL_PARAM_BLD_push_octet_string(
                        builder, Name.point.cString, point.baseAddress, point.count) == 1
            }
        }
    }

    /// Of the member of a JWK (RFC 8037 §2).
    static func ed25519(x: [UInt8]) throws(BadKey) -> PublicKey {
        guard let key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, x, x.count) else {
            ERR_clear_error()
            throw BadKey("has no key of 32 bytes")
        }
        return try checked(taking: key)
    }

    private static func bigNumber(_ bytes: [UInt8]) -> OpaquePointer {
        guard let number = BN_bin2bn(bytes, Int32(bytes.count), nil) else {
            fatalError("out of memory")
        }
        return number
    }

    /// - Parameter fill: false where there is no memory.
    private static func make(algorithm: String, fill: (OpaquePointer) -> Bool) throws(BadKey)
        -> PublicKey
    {
        defer { ERR_clear_error() }
        guard let builder = OSSL_PARAM_BLD_new() else { fatalError("out of memory") }
        defer { OSSL_PARAM_BLD_free(builder) }
        guard fill(builder), let parameters = OSSL_PARAM_BLD_to_param(builder),
            let context = EVP_PKEY_CTX_new_from_name(nil, algorithm, nil)
        else { fatalError("out of memory") }
        defer {
            OSSL_PARAM_free(parameters)
            EVP_PKEY_CTX_free(context)
        }
        var key: OpaquePointer?
        guard EVP_PKEY_fromdata_init(context) == 1,
            EVP_PKEY_fromdata(context, &key, ps_public_key_selection(), parameters) == 1, let key
        else { throw BadKey("is no valid key") }
        return try checked(taking: key)
    }

    /// Every public key of a PEM text, of which all must be good.
    static func all(pem: [UInt8]) throws(BadKey) -> [PublicKey] {
        defer { ERR_clear_error() }
        guard let source = BIO_new_mem_buf(pem, Int32(pem.count)) else {
            fatalError("out of memory")
        }
        defer { BIO_free(source) }
        var keys: [PublicKey] = []
        var (name, header, bytes) = (
            UnsafeMutablePointer<CChar>?.none, UnsafeMutablePointer<CChar>?.none,
            UnsafeMutablePointer<UInt8>?.none
        )
        var count = 0
        while PEM_read_bio(source, &name, &header, &bytes, &count) == 1 {
            defer {
                CRYPTO_free(name, nil, 0)
                CRYPTO_free(header, nil, 0)
                CRYPTO_free(bytes, nil, 0)
            }
            let label = name.map { String(cString: $0) } ?? ""
            guard label == "PUBLIC KEY" else {
                throw BadKey("holds a \(label); give the PUBLIC KEY (openssl pkey -pubout)")
            }
            keys.append(try one(der: UnsafeRawBufferPointer(start: bytes, count: count)))
        }
        // A block that does not end or is no base64 is worth more than silence.
        let reason = Int32(ERR_peek_last_error() & 0x7f_ffff)
        guard reason == PEM_R_NO_START_LINE, !keys.isEmpty else {
            throw BadKey("holds PEM that cannot be read")
        }
        return keys
    }

    /// A SubjectPublicKeyInfo, and nothing behind it.
    private static func one(der: UnsafeRawBufferPointer) throws(BadKey) -> PublicKey {
        var start = der.baseAddress?.assumingMemoryBound(to: UInt8.self)
        guard let key = d2i_PUBKEY(nil, &start, der.count) else {
            throw BadKey("holds a public key that cannot be read")
        }
        let isWhole = UnsafeRawPointer(start) == der.baseAddress.map { $0 + der.count }
        let made = try checked(taking: key)
        guard isWhole else { throw BadKey("holds a public key with bytes behind it") }
        return made
    }

    /// Whether these are a key or a certificate in DER: what must never be taken for a secret.
    static func isKeyMaterial(der: [UInt8]) -> Bool {
        defer { ERR_clear_error() }
        func isRead(_ read: (inout UnsafePointer<UInt8>?, Int) -> Bool) -> Bool {
            der.withUnsafeBufferPointer { buffer in
                var start = buffer.baseAddress
                return read(&start, buffer.count)
            }
        }
        return isRead { start, count in
            let key = d2i_PUBKEY(nil, &start, count)
            EVP_PKEY_free(key)
            return key != nil
        }
            || isRead { start, count in
                let key = d2i_PublicKey(EVP_PKEY_RSA, nil, &start, count)
                EVP_PKEY_free(key)
                return key != nil
            }
            || isRead { start, count in
                let certificate = d2i_X509(nil, &start, count)
                X509_free(certificate)
                return certificate != nil
            }
            || isRead { start, count in
                let key = d2i_AutoPrivateKey(nil, &start, count)
                EVP_PKEY_free(key)
                return key != nil
            }
    }
}

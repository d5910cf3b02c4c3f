import CLibcrypto

/// What a poll's creator holds: 32 random bytes as `psh_…`. Only its hash is stored.
package enum HostKey {
    package static let prefix = "psh_"

    /// `psh_` and 43 characters of base64url.
    package static func generate() -> String { prefix + SecretKey.randomText() }

    /// SHA-256 of the key as presented, with its prefix. A hash without salt or rounds is enough
    /// for 256 random bits.
    package static func hash(of key: UnsafeRawBufferPointer) -> [UInt8] { SecretKey.hash(of: key) }

    /// Whether both are hashes of one key, in a time that does not tell where they differ.
    package static func isSame(_ a: [UInt8], _ b: [UInt8]) -> Bool { SecretKey.isSame(a, b) }
}

/// What the operator holds: `psa_…`, given to the gateway at its start.
package enum AdminKey {
    package static let prefix = "psa_"

    /// SHA-256 of the key as presented, with its prefix.
    package static func hash(of key: UnsafeRawBufferPointer) -> [UInt8] { SecretKey.hash(of: key) }

    /// Whether both are hashes of one key, in a time that does not tell where they differ.
    package static func isSame(_ a: [UInt8], _ b: [UInt8]) -> Bool { SecretKey.isSame(a, b) }
}

private enum SecretKey {
    static func randomText() -> String { Base64URL.encode(Random.bytes(32)) }

    static func isSame(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.withUnsafeBytes { a in b.withUnsafeBytes { b in isEqualInConstantTime(a, b) } }
    }

    static func hash(of key: UnsafeRawBufferPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 32) { hash, count in
            var hashCount: UInt32 = 0
            let isDone = EVP_Digest(
                key.baseAddress, key.count, hash.baseAddress, &hashCount, EVP_sha256(), nil)
            precondition(isDone == 1 && hashCount == 32, "libcrypto has no SHA-256")
            count = 32
        }
    }
}

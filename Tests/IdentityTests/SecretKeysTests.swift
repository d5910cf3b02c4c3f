import Testing

@testable import Identity

struct SecretKeysTests {
    @Test func `keys tell themselves apart and never repeat`() {
        let hostKeys = (0..<1000).map { _ in HostKey.generate() }
        #expect(Set(hostKeys).count == 1000)
        #expect(hostKeys.allSatisfy { $0.hasPrefix("psh_") && $0.utf8.count == 47 })
    }

    @Test func `a hash is SHA-256 of the key as presented`() {
        // FIPS 180-4, appendix: the message "abc".
        let expected: [UInt8] = [
            0xBA, 0x78, 0x16, 0xBF, 0x8F, 0x01, 0xCF, 0xEA, 0x41, 0x41, 0x40, 0xDE, 0x5D, 0xAE,
            0x22, 0x23, 0xB0, 0x03, 0x61, 0xA3, 0x96, 0x17, 0x7A, 0x9C, 0xB4, 0x10, 0xFF, 0x61,
            0xF2, 0x00, 0x15, 0xAD,
        ]
        Array("abc".utf8).withUnsafeBytes {
            #expect(HostKey.hash(of: $0) == expected)
            #expect(AdminKey.hash(of: $0) == expected)
        }
    }

    @Test func `base64url agrees with RFC 4648 and has one spelling`() {
        let vectors = [
            ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"), ("foobar", "Zm9vYmFy"),
        ]
        for (plain, text) in vectors {
            let bytes = Array(plain.utf8)
            #expect(Base64URL.encode(bytes) == text)
            #expect(decode(text, byteCount: bytes.count) == bytes)
        }
        #expect(Base64URL.encode([0xFB, 0xFF, 0xBF]) == "-_-_")
        #expect(decode("Zh", byteCount: 1) == nil, "bits that encode nothing")
        #expect(decode("+/+/", byteCount: 3) == nil, "the other alphabet")
        #expect(decode("Zg==", byteCount: 1) == nil, "padding")
    }

    private func decode(_ text: String, byteCount: Int) -> [UInt8]? {
        Array(text.utf8).withUnsafeBytes { Base64URL.decode($0, byteCount: byteCount) }
    }
}

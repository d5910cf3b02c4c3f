import Testing

@testable import Identity

/// What the specifications print: keys and signatures that are not of our making.
struct JWTVectorTests {
    /// The payload of RFC 7515's examples.
    private static let joe =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ij"
        + "p0cnVlfQ"

    private static let vectors: [(name: String, jwk: String, signed: String, signature: String)] = [
        (
            "RFC 7515 A.1",
            """
            {"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcg\
            UuTwjAzZr1Z9CAow"}
            """,
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + joe,
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        ),
        (
            "RFC 7515 A.2",
            """
            {"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4\
            qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OM\
            g0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3\
            qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4F\
            RWyuXpoQ","e":"AQAB"}
            """,
            "eyJhbGciOiJSUzI1NiJ9." + joe,
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W"
                + "2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARN"
                + "PvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv"
                + "hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77"
                + "Rw"
        ),
        (
            "RFC 7515 A.3",
            """
            {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",\
            "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
            """,
            "eyJhbGciOiJFUzI1NiJ9." + joe,
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
        ),
        (
            "RFC 8037 A.4",
            """
            {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
            """,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        ),
    ]

    @Test(arguments: vectors.indices)
    func `the signature in a specification is one, and no bit of it may change`(index: Int) throws {
        let vector = Self.vectors[index]
        let keys = try JWTKeyFile(Array(vector.jwk.utf8)).keys
        let key = try #require(keys.first)
        let signature = try #require(
            Array(vector.signature.utf8).withUnsafeBytes { Base64URL.decode($0) })
        let signed = Array(vector.signed.utf8)
        func isSignature(_ signature: [UInt8], of bytes: [UInt8]) -> Bool {
            signature.withUnsafeBytes { s in bytes.withUnsafeBytes { key.isSignature(s, of: $0) } }
        }
        #expect(isSignature(signature, of: signed), "\(vector.name)")
        for bit in 0..<signature.count * 8 {
            var altered = signature
            altered[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!isSignature(altered, of: signed), "\(vector.name): bit \(bit)")
        }
        for count in 0..<signature.count {
            #expect(!isSignature(Array(signature.prefix(count)), of: signed))
        }
        #expect(!isSignature(signature + [0], of: signed))
        #expect(!isSignature(signature, of: signed + [0x41]))
        #expect(!isSignature(signature, of: Array(signed.dropLast())))
    }

    @Test func `a signature of P-256 with numbers out of range is none`() throws {
        let file = try JWTKeyFile(Array(Self.vectors[2].jwk.utf8))
        // The order of the group (SEC 2 §2.4.2).
        let order: [UInt8] = [
            0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
            0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63,
            0x25, 0x51,
        ]
        let zero = [UInt8](repeating: 0, count: 32)
        let one: [UInt8] = zero.dropLast() + [1]
        let most = [UInt8](repeating: 0xFF, count: 32)
        for r in [zero, one, order, most] {
            for s in [zero, one, order, most] {
                let isOne = (r + s).withUnsafeBytes { signature in
                    Array(Self.vectors[2].signed.utf8).withUnsafeBytes {
                        file.keys[0].isSignature(signature, of: $0)
                    }
                }
                #expect(!isOne)
            }
        }
    }
}

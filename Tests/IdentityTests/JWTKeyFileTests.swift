import Testing

@testable import Identity

struct JWTKeyFileTests {
    private func read(_ text: String) throws -> JWTKeyFile { try JWTKeyFile(Array(text.utf8)) }

    private func refusal(of text: String) -> String? { refusal(of: Array(text.utf8)) }

    private func refusal(of bytes: [UInt8]) -> String? {
        do {
            _ = try JWTKeyFile(bytes)
            return nil
        } catch {
            return error.reason
        }
    }

    private func expectRefused(_ text: String, _ words: String) {
        let refusal = refusal(of: text)
        #expect(refusal?.contains(words) ?? false, "\(refusal ?? "taken") for \(text.prefix(80))")
    }

    @Test func `a file tells what it is`() throws {
        let (rsa, ec, ed) = (TestKey.rsa(), TestKey.ec(), TestKey.ed25519())
        #expect(try read(rsa.pem).description == "RS256")
        #expect(try read("\n" + ec.pem + ed.pem).description == "ES256, EdDSA")
        #expect(try read("{\(rsa.jwk),\"kid\":\"k\"}").description == "RS256 k")
        #expect(try read(" {\"keys\":[{\(ec.jwk)},{\(ed.jwk)}]}\n").description == "ES256, EdDSA")
        #expect(try read(String(repeating: "x", count: 32) + "\n").description == "HS256")
        #expect(
            try read(#"{"kty":"oct","k":"\#(String(repeating: "A", count: 43))"}"#).description
                == "HS256")
    }

    @Test func `a secret's last newline is not part of it`() throws {
        let token = secretToken(Gate.secret, #"{"sub":"ada"}"#)
        let text = String(decoding: Gate.secret, as: UTF8.self).replacing(" ", with: "-")
        let spelled = secretToken(Array(text.utf8), #"{"sub":"ada"}"#)
        for end in ["", "\n", "\r\n"] {
            #expect(try Gate(text + end).answer(spelled) == .success("ada"))
        }
        #expect(try Gate(text).answer(token) == .failure(.signature))
    }

    @Test func `a secret is one printable word of 32 bytes or more`() {
        expectRefused("", "empty")
        expectRefused("\n", "empty")
        expectRefused(String(repeating: "x", count: 31), "31 bytes")
        expectRefused(String(repeating: "x", count: 1_025), "1025 bytes")
        expectRefused(String(repeating: "x", count: 40) + "\nsecond line", "printable")
        #expect(refusal(of: (0..<64).map { $0 }) != nil)
        expectRefused(#"{"kty":"oct","k":"\#(String(repeating: "A", count: 42))"}"#, "31 bytes")
    }

    @Test func `what looks like a key is never a secret`() {
        let signer = TestKey.rsa()
        let bare = signer.pem.split(separator: "\n").dropFirst().dropLast().joined()
        expectRefused(bare, "PEM frame")
        expectRefused(
            bare.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: ""),
            "PEM frame")
        #expect(refusal(of: signer.der) != nil)
        expectRefused(signer.privatePEM, "PRIVATE KEY")
        expectRefused(signer.pem + signer.privatePEM, "PRIVATE KEY")
        expectRefused("-----BEGIN PUBLIC KEY-----", "cannot be read")
        expectRefused(
            "-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n", "cannot be read")
        expectRefused(
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "CERTIFICATE")
        expectRefused(
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "cannot be read")
        expectRefused(String(signer.pem.dropLast(40)), "cannot be read")
        expectRefused("{", "JSON")
        expectRefused("{}", "kty")
    }

    @Test func `weak keys and other kinds are refused`() {
        expectRefused(TestKey.rsa(bits: 1_024).pem, "1024 bits")
        expectRefused(TestKey.ec(group: "P-384").pem, "curve")
        expectRefused(TestKey.ec(group: "secp256k1").pem, "curve")
        for other in ["ED448", "X25519"] { expectRefused(TestKey.other(other).pem, "kind") }
        expectRefused("{\(TestKey.rsa(bits: 1_024).jwk)}", "1024 bits")
    }

    @Test func `a key that says what it is for is used for nothing else`() throws {
        let key = TestKey.ec().jwk
        for taken in [
            #""use":"sig""#, #""alg":"ES256""#, #""key_ops":["verify"]"#,
            #""key_ops":["sign","verify"]"#, #""x5c":["MII"],"kid":"1""#,
        ] { #expect(try read("{\(key),\(taken)}").keys.count == 1, "\(taken)") }
        for refused in [
            #""use":"enc""#, #""use":7"#, #""alg":"ES384""#, #""alg":"RS256""#, #""alg":null"#,
            #""key_ops":["sign"]"#, #""key_ops":[]"#, #""key_ops":"verify""#, #""d":"AA""#,
            #""kid":1"#,
        ] { #expect(refusal(of: "{\(key),\(refused)}") != nil, "\(refused)") }
        let secret = String(repeating: "A", count: 64)
        #expect(refusal(of: #"{"kty":"oct","k":"\#(secret)","alg":"HS512"}"#) != nil)
        #expect(refusal(of: #"{"kty":"oct","k":"\#(secret)","alg":"RS256"}"#) != nil)
    }

    @Test func `numbers that make no key are refused`() {
        let zero = String(repeating: "A", count: 43)
        let modulus = String(repeating: "A", count: 342)
        for jwk in [
            #"{"kty":"EC","crv":"P-256","x":"\#(zero)","y":"\#(zero)"}"#,
            #"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#,
            #"{"kty":"EC","crv":"P-256","x":"\#(zero)"}"#,
            #"{"kty":"EC","x":"\#(zero)","y":"\#(zero)"}"#,
            #"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#,
            #"{"kty":"OKP","crv":"X25519","x":"\#(zero)"}"#,
            #"{"kty":"RSA","n":"\#(modulus)","e":"AQAB"}"#, #"{"kty":"RSA","n":"","e":"AQAB"}"#,
            #"{"kty":"RSA","n":"AQAB"}"#, #"{"kty":"oct","k":"++++"}"#, #"{"kty":"oct"}"#,
            #"{"kty":"DSA"}"#, #"{"kty":1}"#, #"{"kty":"EC","kty":"EC"}"#,
        ] { #expect(refusal(of: jwk) != nil, "\(jwk)") }
        // An exponent that is even, one, or long.
        let good = TestKey.rsa().jwk
        for exponent in ["AQ", "Ag", "AQABAQAB"] {
            #expect(refusal(of: "{\(good.replacing("AQAB", with: exponent))}") != nil)
        }
    }

    @Test func `a set passes over what it cannot use, and says so`() throws {
        let good = TestKey.ed25519().jwk
        let file = try read(
            #"{"keys":[{"kty":"PQ"},{\#(good),"use":"enc"},{\#(good),"kid":"a"},7]}"#)
        #expect(file.keys.count == 1)
        #expect(
            file.description
                == "EdDSA a, ignored: is of another type, ignored: is not for signatures, "
                + "ignored: has no kty")
        expectRefused(#"{"keys":[{"kty":"PQ"}]}"#, "another type")
        expectRefused(#"{"keys":[]}"#, "empty")
        expectRefused(#"{"keys":{}}"#, "array")
        expectRefused(#"{"keys":null}"#, "array")
        let many = (0..<17).map { #"{\#(good),"kid":"\#($0)"}"# }.joined(separator: ",")
        expectRefused("{\"keys\":[\(many)]}", "17 keys")
    }
}

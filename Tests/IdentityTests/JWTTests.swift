import Testing

@testable import Identity

/// A verifier and a moment at which tokens are shown to it.
struct Gate {
    static let now: Int64 = 1_790_000_000
    static let secret: [UInt8] = Array("correct horse battery staple, twice over".utf8)

    let verifier: JWTVerifier

    init(_ files: String..., issuer: String? = nil, audience: String? = nil) throws {
        verifier = JWTVerifier(
            try files.map { try JWTKeyFile(Array($0.utf8)) }, issuer: issuer, audience: audience)
    }

    static func withSecret(issuer: String? = nil, audience: String? = nil) throws -> Gate {
        try Gate(String(decoding: secret, as: UTF8.self), issuer: issuer, audience: audience)
    }

    /// - Returns: the subject, or why there is none.
    func answer(_ token: String, at now: Int64 = Gate.now) -> Result<String, JWTRefusal> {
        answer(Array(token.utf8), at: now)
    }

    func answer(_ token: [UInt8], at now: Int64 = Gate.now) -> Result<String, JWTRefusal> {
        token.withUnsafeBytes { token in
            do throws(JWTRefusal) {
                return .success(try verifier.verify(token, at: now).name)
            } catch {
                return .failure(error)
            }
        }
    }
}

struct JWTTests {
    private let claims = #"{"sub":"ada"}"#

    // MARK: Algorithms and keys

    @Test func `each algorithm's token is valid with its own key alone`() throws {
        let signers = [TestKey.rsa(), TestKey.ec(), TestKey.ed25519()]
        let files = signers.map(\.pem) + [String(decoding: Gate.secret, as: UTF8.self)]
        let tokens = signers.map { $0.token(claims) } + [secretToken(Gate.secret, claims)]
        for (i, token) in tokens.enumerated() {
            for (j, file) in files.enumerated() {
                let answer = try Gate(file).answer(token)
                #expect(answer == (i == j ? .success("ada") : .failure(.signature)))
            }
        }
        let all = try Gate(files[0], files[1], files[2], files[3])
        for token in tokens { #expect(all.answer(token) == .success("ada")) }
    }

    @Test func `a public key is never a secret`() throws {
        for signer in [TestKey.rsa(), TestKey.ec(), TestKey.ed25519()] {
            let gate = try Gate(signer.pem)
            let bare = signer.pem.split(separator: "\n").dropFirst().dropLast().joined()
            for secret in [
                signer.pem, String(signer.pem.dropLast()), signer.jwk, bare,
            ].map({ Array($0.utf8) }) + [signer.der] {
                #expect(gate.answer(secretToken(secret, claims)) == .failure(.signature))
            }
        }
    }

    @Test(arguments: [
        "none", "None", "NONE", "", "HS384", "HS512", "RS384", "RS512", "PS256", "ES384", "ES256K",
        "hs256", "HS256 ", "Ed25519", "HS25\\u00366",
    ])
    func `no other algorithm is taken`(name: String) throws {
        let header = "{\"alg\":\"\(name)\"}"
        let gate = try Gate.withSecret()
        #expect(
            gate.answer(secretToken(Gate.secret, claims, header: header)) == .failure(.algorithm))
        // Nothing for a signature, or three bytes of it.
        for signature in [[UInt8](), [1, 2, 3]] {
            let token = signedToken(header, claims) { _ in signature }
            guard case .failure = gate.answer(token) else {
                Issue.record("\(name) got in")
                continue
            }
        }
    }

    @Test func `an algorithm escaped is the same algorithm`() throws {
        let token = secretToken(Gate.secret, claims, header: #"{"alg":"HS25\u0036"}"#)
        #expect(try Gate.withSecret().answer(token) == .success("ada"))
    }

    @Test func `a header that names another algorithm than its key's is refused`() throws {
        let signers = [TestKey.rsa(), TestKey.ec(), TestKey.ed25519()]
        let gate = try Gate(signers[0].pem, signers[1].pem, signers[2].pem)
        for signer in signers {
            for algorithm in JWTAlgorithm.allCases where algorithm != signer.algorithm {
                let token = signer.token(claims, header: "{\"alg\":\"\(algorithm.rawValue)\"}")
                #expect(gate.answer(token) == .failure(.signature))
            }
        }
    }

    @Test func `what is critical is refused, and what a header offers is not believed`() throws {
        let gate = try Gate.withSecret()
        for crit in [#"["b64"]"#, "[]", "null", #""exp""#] {
            let header = #"{"alg":"HS256","crit":\#(crit),"b64":true}"#
            #expect(
                gate.answer(secretToken(Gate.secret, claims, header: header)) == .failure(.critical)
            )
        }
        let forger = TestKey.ed25519()
        for offer in [
            "\"jwk\":{\(forger.jwk)}", #""jku":"https://evil.example/keys""#,
            #""x5u":"https://evil.example/c""#, #""kid":"../../dev/null""#, #""kid":"' OR 1=1 --""#,
        ] {
            let token = forger.token(claims, header: "{\"alg\":\"EdDSA\",\(offer)}")
            #expect(gate.answer(token) == .failure(.signature))
        }
    }

    @Test func `a key is chosen by the name that a token gives`() throws {
        let (a, b, plain) = (TestKey.ed25519(), TestKey.ed25519(), TestKey.ed25519())
        let set = #"{"keys":[{\#(a.jwk),"kid":"a"},{\#(b.jwk),"kid":"b"}]}"#
        let gate = try Gate(set, plain.pem)
        func token(_ signer: TestKey, _ kid: String?) -> String {
            signer.token(
                claims, header: #"{"alg":"EdDSA"\#(kid.map { #","kid":"\#($0)""# } ?? "")}"#)
        }
        for (signer, kid) in [(a, "a"), (b, "b"), (a, nil), (b, nil), (plain, nil), (plain, "c")] {
            #expect(gate.answer(token(signer, kid)) == .success("ada"))
        }
        for (signer, kid) in [(a, "b"), (b, "a"), (plain, "a"), (a, "A"), (a, "c"), (a, "")] {
            #expect(gate.answer(token(signer, kid)) == .failure(.signature))
        }
        #expect(
            gate.answer(a.token(claims, header: #"{"alg":"EdDSA","kid":1}"#))
                == .failure(.malformed))
        // é as one character and as two are two names.
        let named = try Gate(#"{\#(a.jwk),"kid":"\u00e9"}"#)
        #expect(named.answer(token(a, "\u{e9}")) == .success("ada"))
        #expect(named.answer(token(a, "e\u{301}")) == .failure(.signature))
    }

    @Test func `keys that are replaced are replaced for everybody`() throws {
        let (old, new) = (TestKey.ec(), TestKey.ec())
        let gate = try Gate(old.pem)
        #expect(gate.answer(old.token(claims)) == .success("ada"))
        gate.verifier.replaceKeys([try JWTKeyFile(Array((old.pem + new.pem).utf8))])
        #expect(gate.answer(old.token(claims)) == .success("ada"))
        #expect(gate.answer(new.token(claims)) == .success("ada"))
        gate.verifier.replaceKeys([try JWTKeyFile(Array(new.pem.utf8))])
        #expect(gate.answer(old.token(claims)) == .failure(.signature))
        #expect(gate.answer(new.token(claims)) == .success("ada"))
        #expect(gate.verifier.refusalCounts.first { $0.reason == .signature }?.count == 1)
    }

    // MARK: Form

    @Test func `a token is three parts of canonical base64url`() throws {
        let gate = try Gate.withSecret()
        let token = secretToken(Gate.secret, claims)
        let parts = token.split(separator: ".").map(String.init)
        #expect(gate.answer(token) == .success("ada"))
        let (h, p, s) = (parts[0], parts[1], parts[2])
        for malformed in [
            "", ".", "..", "...", "x", h, "\(h).\(p)", "\(h).\(p).", "\(h)..\(s)", ".\(p).\(s)",
            "\(h).\(p).\(s).", ".\(token)", "\(h).\(p)..\(s)", "\(token).\(s)", "\(token)..",
            "\(h)=.\(p).\(s)", "\(h).\(p)=.\(s)", "\(token)=", "\(token) ", " \(token)",
            "\(h).\(p).\(s)\n", "\(token)\u{0}", "\(h).\(p)+.\(s)", "\(h)/.\(p).\(s)",
            "\(h).\(p).\(s)A",
            "\(h),\(p),\(s)", String(repeating: ".", count: 8_000),
        ] {
            guard case .failure(let refusal) = gate.answer(malformed) else {
                Issue.record("\(malformed) got in")
                continue
            }
            #expect(refusal == .malformed || refusal == .signature, "\(malformed)")
        }
    }

    @Test func `cut anywhere a token is none`() throws {
        for signer in [TestKey.ec(), TestKey.ed25519()] {
            let gate = try Gate(signer.pem)
            let token = Array(signer.token(claims).utf8)
            for count in token.indices {
                #expect(throws: JWTRefusal.self) { try gate.answer(Array(token[..<count])).get() }
                #expect(throws: JWTRefusal.self) {
                    try gate.answer(Array(token[count...].dropFirst())).get()
                }
            }
        }
    }

    @Test func `no single byte of a token may be another`() throws {
        let signers = [TestKey.rsa(), TestKey.ec(), TestKey.ed25519()]
        for (gate, token) in try signers.map({ (try Gate($0.pem), $0.token(claims)) })
            + [(try Gate.withSecret(), secretToken(Gate.secret, claims))]
        {
            let token = Array(token.utf8)
            #expect(gate.answer(token) == .success("ada"))
            for position in token.indices {
                let byte = token[position]
                // Neighbours, which differ in the last bits, one of a far bit, and no base64url.
                for other in [byte ^ 1, byte ^ 2, byte ^ 0x20, UInt8(ascii: "."), 0, byte | 0x80] {
                    guard other != byte else { continue }
                    var altered = token
                    altered[position] = other
                    if case .success = gate.answer(altered) {
                        Issue.record("byte \(position) may be \(other)")
                    }
                }
            }
        }
    }

    @Test(arguments: [
        "", "null", "[]", "1", #""ada""#, "{", #"{"sub":"ada",}"#, #"{"sub":"ada","sub":"bob"}"#,
        #"{"sub":"ada"} {}"#, #"{"sub":"a\u0000"}"#, "{\"sub\":\"a\u{1}\"}",
        "\u{FEFF}{\"sub\":\"ada\"}",
    ])
    func `claims are one strict JSON object`(claims: String) throws {
        let gate = try Gate.withSecret()
        #expect(gate.answer(secretToken(Gate.secret, claims)) == .failure(.malformed))
        let header = claims.replacing("sub", with: "alg").replacing("ada", with: "HS256")
        let token = secretToken(Gate.secret, self.claims, header: header)
        #expect(gate.answer(token) == .failure(.malformed))
    }

    @Test func `a token has at most 8 KiB`() throws {
        let gate = try Gate.withSecret()
        func token(_ count: Int) -> String {
            secretToken(
                Gate.secret, #"{"sub":"ada","x":"\#(String(repeating: "x", count: count))"}"#)
        }
        #expect(token(6_000).utf8.count <= JWTVerifier.tokenByteLimit)
        #expect(gate.answer(token(6_000)) == .success("ada"))
        #expect(token(6_200).utf8.count > JWTVerifier.tokenByteLimit)
        #expect(gate.answer(token(6_200)) == .failure(.malformed))
    }

    // MARK: Claims

    @Test func `a token is valid from nbf to exp, give or take the leeway`() throws {
        let gate = try Gate.withSecret()
        let (now, leeway) = (Gate.now, JWTVerifier.leewaySeconds)
        func answer(_ members: String) -> Result<String, JWTRefusal> {
            gate.answer(secretToken(Gate.secret, #"{"sub":"ada",\#(members)}"#))
        }
        for good in [
            #""exp":\#(now + 1)"#, #""exp":\#(now)"#, #""exp":\#(now - leeway + 1)"#,
            #""exp":\#(now).9"#, #""exp":1.79e9"#, #""nbf":\#(now)"#, #""nbf":\#(now + leeway)"#,
            #""nbf":0"#, #""exp":253402300799"#, #""iat":\#(now + 1_000_000)"#,
        ] { #expect(answer(good) == .success("ada"), "\(good)") }
        for late in [#""exp":\#(now - leeway)"#, #""exp":0"#, #""exp":1.5"#] {
            #expect(answer(late) == .failure(.expired), "\(late)")
        }
        for early in [#""nbf":\#(now + leeway + 1)"#, #""nbf":253402300799"#] {
            #expect(answer(early) == .failure(.notYetValid), "\(early)")
        }
        for wrong in ["null", #""1790000001""#, "-1", "1e300", "true", "[1]", "253402300800"] {
            #expect(answer(#""exp":\#(wrong)"#) == .failure(.malformed), "\(wrong)")
            #expect(answer(#""nbf":\#(wrong)"#) == .failure(.malformed), "\(wrong)")
        }
    }

    @Test func `a subject tells until when it may vote`() throws {
        let verifier = try Gate.withSecret().verifier
        func subject(_ claims: String) throws -> JWTSubject {
            try Array(secretToken(Gate.secret, claims).utf8).withUnsafeBytes {
                try verifier.verify($0, at: Gate.now)
            }
        }
        #expect(try subject(claims) == JWTSubject(name: "ada", expiresAt: nil))
        #expect(
            try subject(#"{"sub":"ada","exp":1790000100}"#)
                == JWTSubject(name: "ada", expiresAt: 1_790_000_130))
    }

    @Test func `the issuer is the one that is asked for`() throws {
        let gate = try Gate.withSecret(issuer: "https://id.example")
        func answer(_ issuer: String) -> Result<String, JWTRefusal> {
            gate.answer(secretToken(Gate.secret, #"{"sub":"ada"\#(issuer)}"#))
        }
        #expect(answer(#","iss":"https://id.example""#) == .success("ada"))
        for other in [
            "", #","iss":"https://id.example/""#, #","iss":"https://ID.example""#, #","iss":"""#,
            #","iss":["https://id.example"]"#, #","iss":null"#,
        ] { #expect(answer(other) == .failure(.issuer), "\(other)") }
    }

    @Test func `a token is for us, alone or among others, or for nobody in particular`() throws {
        let ours = try Gate.withSecret(audience: "polls")
        let anybody = try Gate.withSecret()
        func token(_ audience: String) -> String {
            secretToken(Gate.secret, #"{"sub":"ada"\#(audience)}"#)
        }
        for good in [#","aud":"polls""#, #","aud":["polls"]"#, #","aud":["x","polls"]"#] {
            #expect(ours.answer(token(good)) == .success("ada"), "\(good)")
            #expect(anybody.answer(token(good)) == .failure(.audience), "\(good)")
        }
        for other in [
            #","aud":"x""#, #","aud":["x"]"#, #","aud":[]"#, #","aud":"poll""#, #","aud":null"#,
            #","aud":[["polls"]]"#, #","aud":{"polls":1}"#, #","aud":1"#, #","aud":"polls ""#,
        ] {
            #expect(ours.answer(token(other)) == .failure(.audience), "\(other)")
            #expect(anybody.answer(token(other)) == .failure(.audience), "\(other)")
        }
        #expect(ours.answer(token("")) == .failure(.audience))
        #expect(anybody.answer(token("")) == .success("ada"))
    }

    @Test func `a subject has 1 to 200 characters`() throws {
        let gate = try Gate.withSecret()
        func answer(_ member: String) -> Result<String, JWTRefusal> {
            gate.answer(secretToken(Gate.secret, "{\(member)}"))
        }
        let longest = String(repeating: "é", count: 200)
        #expect(answer(#""sub":"\#(longest)""#) == .success(longest))
        for wrong in [
            #""sub":"\#(longest)x""#, #""sub":"""#, #""sub":null"#, #""sub":7"#, #""sub":["ada"]"#,
            #""subject":"ada""#, "",
        ] { #expect(answer(wrong) == .failure(.subject), "\(wrong)") }
    }
}

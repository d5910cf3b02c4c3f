import Identity
import Testing

@testable import Gateway

struct CallerTests {
    private let tokens = VoterTokenSigner(key: Array(repeating: 8, count: 32))
    private let id = VoterToken.ID(high: 1, low: 2)

    private func bearer(_ token: String) throws -> Bearer {
        try withBytes(token) { try Bearer(token: $0, tokens: tokens, jwt: nil, at: 0) }
    }

    @Test func `a bearer token tells by its prefix what it is`() throws {
        #expect(try bearer("psh_x") == .hostKey(hash: HostKey.hash("psh_x")))
        #expect(
            try bearer("psa_x") == .adminKey(hash: withBytes("psa_x") { AdminKey.hash(of: $0) }))
        #expect(try bearer(tokens.mint(id)) == .voter(id))
    }

    @Test func `a token that nobody can check is unauthorized`() {
        let good = tokens.mint(id)
        let foreign = VoterTokenSigner(key: Array(repeating: 9, count: 32)).mint(id)
        for token in ["", "psv_", "x", "a.b.c", String(good.dropLast()), good + "A", foreign] {
            #expect(throws: APIError.invalidToken) { try bearer(token) }
        }
    }

    @Test func `a bearer token is found behind its scheme in any case`() {
        func token(_ field: String) -> String? {
            withBytes(field) { field in
                Credentials.bearerToken(field).map { String(decoding: $0, as: UTF8.self) }
            }
        }
        #expect(token("Bearer abc") == "abc")
        #expect(token("bEARER   abc ") == "abc")
        #expect(token("Bearer") == "")
        #expect(token("Bearer ") == "")
        #expect(token("Basic YTpi") == nil)
        #expect(token("Bearerabc") == nil)
        #expect(token("") == nil)
    }

    @Test func `a cookie is found among others`() {
        func values(_ field: String) -> [String] {
            withBytes(field) { field in
                Credentials.values(of: Credentials.cookieName(isSecure: false), in: field).map {
                    String(decoding: $0, as: UTF8.self)
                }
            }
        }
        #expect(values("pollstream_voter=a") == ["a"])
        #expect(values("theme=dark; pollstream_voter=a; x=1") == ["a"])
        #expect(values("pollstream_voter=\"a\"") == ["a"])
        #expect(values("pollstream_voter=a;pollstream_voter=b=c") == ["a", "b=c"])
        #expect(values("pollstream_voter=") == [""])
        for field in [
            "", ";;=;", "xpollstream_voter=a", "pollstream_voter2=a", "=a", "Pollstream_voter=a",
        ] {
            #expect(values(field).isEmpty, "\(field)")
        }
    }

    @Test func `a bearer token is meant and a cookie merely there`() {
        let other = VoterToken.ID(high: 3, low: 4)
        #expect(Caller().identity == nil)
        #expect(Caller(cookieVoter: id).identity == .token(id))
        #expect(Caller(bearer: .voter(other), cookieVoter: id).identity == .token(other))
        let host = Caller(bearer: .hostKey(hash: [1]), cookieVoter: id)
        #expect(host.identity == .token(id))
        #expect(host.viewer.presentedHostKeyHash == [1])
    }

    @Test func `a handshake names its protocol and may carry a token`() {
        func read(_ fields: String...) -> (Bool, String?) {
            withBytes(fields.joined(separator: "\n")) { text in
                let offered = Subprotocols(
                    text.split(separator: UInt8(ascii: "\n")).map {
                        UnsafeRawBufferPointer(rebasing: $0)
                    })
                return (
                    offered.offersVersion1,
                    offered.bearerToken.map { String(decoding: $0, as: UTF8.self) }
                )
            }
        }
        #expect(read("pollstream.v1, bearer.psv_x") == (true, "psv_x"))
        #expect(read("bearer.a.b.c,pollstream.v1,bearer.z") == (true, "a.b.c"))
        #expect(read("pollstream.v1", "bearer.x, bearer.y") == (true, "x"))
        #expect(read("bearer.x", "chat, pollstream.v1") == (true, "x"))
        #expect(read("chat, pollstream.v2") == (false, nil))
        #expect(read("") == (false, nil))
    }

    @Test func `the cookie is out of reach of scripts and other sites`() {
        let cookie = Credentials.setCookie("psv_x", isSecure: false)
        #expect(
            cookie == "pollstream_voter=psv_x; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax")
        #expect(Credentials.setCookie("psv_x", isSecure: true) == "__Host-" + cookie + "; Secure")
    }
}

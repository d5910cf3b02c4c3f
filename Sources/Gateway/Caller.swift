import Identity

/// What a request proves about who sends it.
struct Caller {
    private(set) var bearer: Bearer?
    /// Of the cookie; a forged one counts as none.
    private(set) var cookieVoter: VoterToken.ID?

    init(bearer: Bearer? = nil, cookieVoter: VoterToken.ID? = nil) {
        self.bearer = bearer
        self.cookieVoter = cookieVoter
    }

    /// The identity of a valid token; a bearer token is meant, a cookie is merely there.
    var identity: VoterIdentity? {
        if case .voter(let id)? = bearer { return .token(id) }
        return cookieVoter.map { .token($0) }
    }

    var hostKeyHash: [UInt8]? {
        if case .hostKey(let hash)? = bearer { hash } else { nil }
    }

    var viewer: Viewer {
        Viewer(identity: identity, subjectLabel: nil, presentedHostKeyHash: hostKeyHash)
    }
}

/// A bearer token; its prefix tells what it is.
enum Bearer: Equatable {
    /// SHA-256 of the key as presented: whether it is right only a poll can tell.
    case hostKey(hash: [UInt8])
    case adminKey(hash: [UInt8])
    case voter(VoterToken.ID)

    /// - Throws: `unauthorized` for a forged voter token, and for any other token: without a key for
    ///   JWTs nobody can check one.
    init(token: UnsafeRawBufferPointer, tokens: VoterTokenSigner) throws(APIError) {
        if token.starts(with: HostKey.prefix.utf8) {
            self = .hostKey(hash: HostKey.hash(of: token))
        } else if token.starts(with: AdminKey.prefix.utf8) {
            self = .adminKey(hash: AdminKey.hash(of: token))
        } else if let id = tokens.verify(token) {
            self = .voter(id)
        } else {
            throw .unauthorized
        }
    }
}

/// Finds credentials in header fields.
enum Credentials {
    static let cookieName: StaticString = "pollstream_voter"

    /// The token of an Authorization field (RFC 6750 §2.1); nil for another scheme, which is not
    /// meant for us. Empty where there is none behind the scheme.
    static func bearerToken(_ authorization: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var rest = authorization
        guard let scheme = rest.takeElement(before: UInt8(ascii: " ")),
            scheme.isEqualIgnoringCase(to: "bearer")
        else { return nil }
        return rest.trimmed()
    }

    /// The values of a cookie in a Cookie field (RFC 6265 §5.4), without quotes, in order.
    static func values(
        of name: StaticString, in cookies: UnsafeRawBufferPointer
    ) -> [UnsafeRawBufferPointer] {
        var values: [UnsafeRawBufferPointer] = []
        var rest = cookies
        while let element = rest.takeElement(before: UInt8(ascii: ";")) {
            var value = element.trimmed()
            guard let found = value.takeElement(before: UInt8(ascii: "=")), found.isEqual(to: name)
            else { continue }
            let quote = UInt8(ascii: "\"")
            if value.count >= 2, value.first == quote, value.last == quote {
                value = UnsafeRawBufferPointer(rebasing: value.dropFirst().dropLast())
            }
            values.append(value)
        }
        return values
    }

    /// The Set-Cookie that makes a browser a voter for a year.
    /// - Parameter isSecure: only over TLS.
    static func setCookie(_ token: String, isSecure: Bool) -> String {
        "\(cookieName)=\(token); Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax"
            + (isSecure ? "; Secure" : "")
    }
}

extension HostKey {
    /// Of a key as a message brings it.
    static func hash(_ key: String) -> [UInt8] {
        var key = key
        return key.withUTF8 { hash(of: UnsafeRawBufferPointer($0)) }
    }
}

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
        bearer?.identity ?? cookieVoter.map { .token($0) }
    }

    var subject: JWTSubject? {
        if case .subject(let subject)? = bearer { subject } else { nil }
    }

    var hostKeyHash: [UInt8]? {
        if case .hostKey(let hash)? = bearer { hash } else { nil }
    }

    var viewer: Viewer {
        Viewer(
            identity: identity, expiresAt: subject?.expiresAt, presentedHostKeyHash: hostKeyHash)
    }
}

/// A bearer token; its prefix tells what it is.
enum Bearer: Equatable {
    /// SHA-256 of the key as presented: whether it is right only a poll can tell.
    case hostKey(hash: [UInt8])
    case adminKey(hash: [UInt8])
    case voter(VoterToken.ID)
    /// Of a valid JWT.
    case subject(JWTSubject)

    /// - Parameters:
    ///   - jwt: nil: nobody can check a JWT.
    ///   - unixSeconds: now.
    /// - Throws: `invalidToken` for one that is forged, expired, or that nobody can check.
    init(
        token: UnsafeRawBufferPointer, tokens: VoterTokenSigner, jwt: JWTVerifier?,
        at unixSeconds: Int64
    ) throws(APIError) {
        if token.starts(with: HostKey.prefix.utf8) {
            self = .hostKey(hash: HostKey.hash(of: token))
        } else if token.starts(with: AdminKey.prefix.utf8) {
            self = .adminKey(hash: AdminKey.hash(of: token))
        } else if token.starts(with: VoterToken.prefix.utf8) {
            guard let id = tokens.verify(token) else { throw .invalidToken }
            self = .voter(id)
        } else {
            guard let subject = try? jwt?.verify(token, at: unixSeconds) else {
                throw .invalidToken
            }
            self = .subject(subject)
        }
    }

    var identity: VoterIdentity? {
        switch self {
        case .voter(let id): .token(id)
        case .subject(let subject): .subject(subject.name)
        case .hostKey, .adminKey: nil
        }
    }
}

/// Finds credentials in header fields.
enum Credentials {
    /// - Parameter isSecure: over TLS it has the prefix that keeps a page of another host of the site from
    ///   setting it (RFC 6265bis §4.1.3.2).
    static func cookieName(isSecure: Bool) -> StaticString {
        isSecure ? "__Host-pollstream_voter" : "pollstream_voter"
    }

    /// So many cookies of one name are looked at.
    static let cookieLimit = 16

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
        "\(cookieName(isSecure: isSecure))=\(token); Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax"
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

import Identity
import Reactor

extension Gateway {
    /// Reads who sends a request.
    /// - Throws: `invalidToken` for a bearer token that is forged or that nobody can check.
    func caller(of request: borrowing Request) throws(APIError) -> Caller {
        guard request.fieldCount("authorization") <= 1 else { throw .unauthorized }
        var bearer: Bearer?
        if let authorization = request.field("authorization"),
            let token = Credentials.bearerToken(authorization)
        {
            bearer = try readBearer(token, of: request)
        }
        return Caller(bearer: bearer, cookieVoter: cookieVoter(of: request))
    }

    /// As `caller`, for a handshake: browsers cannot send Authorization there, so a token may come
    /// as the subprotocol `bearer.<token>`.
    func handshakeCaller(of request: borrowing Request) throws(APIError) -> Caller {
        let caller = try caller(of: request)
        guard caller.bearer == nil, let token = Subprotocols(of: request).bearerToken else {
            return caller
        }
        return Caller(
            bearer: try readBearer(token, of: request), cookieVoter: caller.cookieVoter)
    }

    private func readBearer(_ token: UnsafeRawBufferPointer, of request: borrowing Request)
        throws(APIError) -> Bearer
    {
        let bearer = try Bearer(
            token: token, tokens: secrets.tokens, jwt: shared.jwt,
            at: request.receivedUnixMilliseconds / 1_000)
        if case .voter = bearer, !settings.acceptsVoterCookies { throw .invalidToken }
        return bearer
    }

    /// Of the first cookies of our name, since each costs a code for each key. A browser sends more
    /// than one where a page of a neighbouring host has set its own: of two that are valid nobody knows
    /// which is the voter's, so neither is. Nor is that of a foreign page, which a browser sends along
    /// with a form where both are of one site.
    func cookieVoter(of request: borrowing Request) -> VoterToken.ID? {
        guard settings.acceptsVoterCookies, let cookies = request.field("cookie"),
            allowsOrigin(of: request)
        else { return nil }
        let values = Credentials.values(
            of: Credentials.cookieName(isSecure: origins.isSecure), in: cookies)
        var found: VoterToken.ID?
        for value in values.prefix(Credentials.cookieLimit) {
            guard let id = secrets.tokens.verify(value) else { continue }
            if let found, found != id { return nil }
            found = id
        }
        return found
    }

    /// A token for who has none yet.
    func mintVoterToken() -> String { secrets.tokens.mint(.random()) }

    /// The Set-Cookie for who has no token yet; nil where none would be taken.
    func newVoterCookie() -> String? {
        settings.acceptsVoterCookies ? voterCookie(mintVoterToken()) : nil
    }

    func voterCookie(_ token: String) -> String {
        Credentials.setCookie(token, isSecure: origins.isSecure)
    }
}

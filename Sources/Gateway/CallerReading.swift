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
        try Bearer(
            token: token, tokens: secrets.tokens, jwt: shared.jwt,
            at: request.receivedUnixMilliseconds / 1_000)
    }

    /// Of the first cookies of our name, since each costs a code for each key: a browser sends more
    /// than one where a page of a neighbouring host has set its own.
    func cookieVoter(of request: borrowing Request) -> VoterToken.ID? {
        guard let cookies = request.field("cookie") else { return nil }
        let values = Credentials.values(of: Credentials.cookieName, in: cookies)
        for value in values.prefix(Credentials.cookieLimit) {
            if let id = secrets.tokens.verify(value) { return id }
        }
        return nil
    }

    /// A token for who has none yet.
    func mintVoterToken() -> String { secrets.tokens.mint(.random()) }

    func voterCookie(_ token: String) -> String {
        let isSecure = settings.endsTLS || settings.publicURL?.hasPrefix("https:") ?? false
        return Credentials.setCookie(token, isSecure: isSecure)
    }
}

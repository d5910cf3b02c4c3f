import Polls

/// What a refused request or message is told, in the one table of all codes.
///
/// A message is one sentence that says what to do. Nothing of the inside is ever in it.
struct APIError: Error, Equatable, Sendable {
    let status: Int
    let code: String
    let message: String
    /// The member or parameter that is wrong.
    private(set) var field: String?
    /// When to try again.
    private(set) var retryAfterSeconds: Int?
    /// The WWW-Authenticate field, which a 401 has to have (RFC 9110 §15.5.2, RFC 6750 §3).
    private(set) var challenge: String?

    private init(
        _ status: Int, _ code: String, _ message: String, field: String? = nil,
        retryAfterSeconds: Int? = nil, challenge: String? = nil
    ) {
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.retryAfterSeconds = retryAfterSeconds
        self.challenge = challenge
    }
}

// MARK: The request itself

extension APIError {
    static let malformedRequest = APIError(
        400, "malformed_request", "Check the syntax: this could not be read.")
    static let malformedJSON = APIError(
        400, "malformed_json",
        "Send one JSON text: no trailing comma, no member twice, no depth past 32.")
    static let notFound = APIError(404, "not_found", "There is nothing here: check the path.")
    static let pageNotFound = APIError(
        404, "not_found", "There is no such page: follow next and previous.")
    static let methodNotAllowed = APIError(
        405, "method_not_allowed", "Use one of the methods that Allow names.")
    static let notAcceptable = APIError(
        406, "not_acceptable", "Accept one of application/json and text/csv.")
    static let timeout = APIError(408, "timeout", "Send the whole request sooner.")
    static let tooLarge = APIError(413, "too_large", "Send a smaller body.")
    static let targetTooLong = APIError(414, "too_large", "Send a shorter request target.")
    static let unsupportedMediaType = APIError(
        415, "unsupported_media_type",
        "Send the body as application/json in UTF-8, or a vote as "
            + "application/x-www-form-urlencoded.")
    static let expectationFailed = APIError(
        417, "expectation_failed", "Expect nothing but 100-continue.")
    static let upgradeRequired = APIError(
        426, "upgrade_required", "Open a WebSocket of version 13 here.")
    static let headTooLarge = APIError(431, "too_large", "Send fewer or shorter header fields.")
    static let notImplemented = APIError(
        501, "not_implemented", "Send the body with Content-Length or as plain chunks.")
    static let versionNotSupported = APIError(
        505, "version_not_supported", "Speak HTTP/1.1 or HTTP/1.0.")

    /// Well-formed but wrong.
    static func invalid(field: String, message: String) -> APIError {
        APIError(422, "invalid", message, field: field)
    }

    static let invalidVoter = invalid(
        field: "voter", message: "Give a name of 1 to 200 characters.")

    /// Of what the reactor refuses: the peer broke HTTP or ran into a limit.
    static func refused(status: Int) -> APIError {
        switch status {
        case 408: timeout
        case 413: tooLarge
        case 414: targetTooLong
        case 417: expectationFailed
        case 431: headTooLarge
        case 501: notImplemented
        case 503: overloaded
        case 505: versionNotSupported
        default: malformedRequest
        }
    }
}

// MARK: Who asks

extension APIError {
    static let unauthorized = APIError(
        401, "unauthorized", "Send the key or token that this needs as a Bearer token.",
        challenge: "Bearer")
    /// Of a token that came, and is not valid; why not, its sender is not told.
    static let invalidToken = APIError(
        401, "unauthorized", "Get another token: this one is not valid here, or not any more.",
        challenge: "Bearer error=\"invalid_token\"")
    static let voterRequired = APIError(
        401, "voter_required",
        "Send the ballot again with the cookie, or with voter_token as a Bearer token.",
        challenge: "Bearer")
    static let forbidden = APIError(
        403, "forbidden", "Use the key that was shown when this was created.")
    static let originNotAllowed = APIError(
        403, "origin_not_allowed", "Ask from a page of an allowed origin, or from no page.")

    static func rateLimited(retryAfterSeconds: Int) -> APIError {
        APIError(
            429, "rate_limited", "Slow down and try again later.",
            retryAfterSeconds: retryAfterSeconds)
    }
    /// Where nothing tells when there is room again.
    static let rateLimited = rateLimited(retryAfterSeconds: 1)
    static let tooManySubscriptions = APIError(
        429, "too_many_subscriptions", "Unsubscribe from a poll before subscribing to another.")
}

// MARK: Polls and ballots

extension APIError {
    static let pollNotFound = APIError(
        404, "poll_not_found", "There is no such poll: check its id or join code.")
    static let optionNotFound = APIError(
        404, "option_not_found", "The poll has no such option: read its options again.")
    static let alreadyVoted = APIError(
        409, "already_voted", "Keep the choice you made: this poll allows no change.")
    static let pollNotOpen = APIError(409, "poll_not_open", "Wait until the poll opens.")
    static let pollClosed = APIError(409, "poll_closed", "Read the results: the poll is closed.")
    static let hasBallots = APIError(
        409, "has_ballots", "Leave the options as they are: the poll has ballots.")
}

// MARK: This process

extension APIError {
    static let overloaded = APIError(
        503, "overloaded", "Try again shortly: there is more to do than can be done now.",
        retryAfterSeconds: 1)
    static let storageUnavailable = APIError(
        503, "storage_unavailable", "Try again shortly: the storage does not answer.",
        retryAfterSeconds: 2)
    static let draining = APIError(
        503, "draining", "Connect again: this gateway is about to stop.", retryAfterSeconds: 1)
    static let commitUnknown = APIError(
        504, "commit_unknown",
        "Send the same again, which is safe: the storage did not answer in time.")
    /// Of what a host asked for: a poll that is created again would be another one.
    static let changeUnknown = APIError(
        504, "commit_unknown",
        "Look whether it was done before you send it again: the storage did not answer in time.")
}

// MARK: From the rooms behind

extension APIError {
    /// Why a ballot is not stored.
    static func of(_ outcome: BallotOutcome) -> APIError {
        switch outcome {
        case .counted, .repeated, .changed: preconditionFailure("a stored ballot is no error")
        case .alreadyVoted: alreadyVoted
        case .rejected(let rejection): of(rejection)
        case .overloaded: overloaded
        case .storageUnavailable: storageUnavailable
        case .commitUnknown: commitUnknown
        }
    }

    static func of(_ rejection: Rejection) -> APIError {
        switch rejection {
        case .pollNotFound: pollNotFound
        case .optionNotFound, .optionsChanged: optionNotFound
        case .pollNotOpen: pollNotOpen
        case .pollClosed: pollClosed
        case .invalid(let field, let message): invalid(field: field, message: message)
        }
    }

    static func of(_ refusal: CatalogueRefusal) -> APIError {
        switch refusal {
        case .pollNotFound: pollNotFound
        case .pollClosed: pollClosed
        case .hasBallots: hasBallots
        case .invalid(let invalid): of(invalid)
        case .overloaded: overloaded
        case .storageUnavailable: storageUnavailable
        case .commitUnknown: changeUnknown
        }
    }

    static func of(_ invalid: InvalidPoll) -> APIError {
        .invalid(field: invalid.field, message: invalid.message)
    }
}

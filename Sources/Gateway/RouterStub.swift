import Identity
import Polls
import Reactor

// Stands in for the HTTP half until it is merged.

extension Gateway {
    func route(_ request: borrowing Request, on connection: ConnectionID) {
        answer(.pollNotFound, to: connection, sequence: request.sequence)
    }

    func answerRefused(_ connection: ConnectionID, sequence: UInt32, status: Int) {
        loop.respond(to: connection, sequence: sequence, with: Response(status: status))
    }

    func answer(_ error: APIError, to connection: ConnectionID, sequence: UInt32) {
        loop.respond(to: connection, sequence: sequence, with: Response(status: error.status))
    }

    func resumeStream(_ connection: ConnectionID) {}
    func forgetStream(_ connection: ConnectionID) {}
    func allowsMessage(from connection: ConnectionID) -> Bool { true }
    func allowsVote(identity: VoterIdentity, peer: PeerAddress?) -> Bool { true }
}

struct APIError: Error {
    let status: Int
    let code: String
    let message: String
    var field: String?
    var retryAfterSeconds: Int?

    static let pollNotFound = APIError(
        status: 404, code: "poll_not_found", message: "No such poll.")
    static let overloaded = APIError(status: 503, code: "overloaded", message: "Try again.")
    static let malformedJSON = APIError(status: 400, code: "malformed_json", message: "Send JSON.")
    static let malformedRequest = APIError(
        status: 400, code: "malformed_request", message: "Send a type.")
    static let voterRequired = APIError(
        status: 401, code: "voter_required", message: "Say who votes.")
    static let tooManySubscriptions = APIError(
        status: 429, code: "too_many_subscriptions", message: "Unsubscribe first.")
    static let rateLimited = APIError(status: 429, code: "rate_limited", message: "Slow down.")
    static let draining = APIError(status: 503, code: "draining", message: "Try another.")
    static let forbidden = APIError(status: 403, code: "forbidden", message: "Wrong key.")

    static func invalid(field: String, message: String) -> APIError {
        APIError(status: 422, code: "invalid", message: message, field: field)
    }

    static func of(_ outcome: BallotOutcome) -> APIError {
        switch outcome {
        case .alreadyVoted: APIError(status: 409, code: "already_voted", message: "Voted.")
        case .rejected(.pollNotFound): .pollNotFound
        case .rejected(.optionNotFound):
            APIError(status: 404, code: "option_not_found", message: "No such option.")
        case .rejected(.pollNotOpen):
            APIError(status: 409, code: "poll_not_open", message: "Wait.")
        case .rejected(.pollClosed):
            APIError(status: 409, code: "poll_closed", message: "Too late.")
        case .rejected(.optionsChanged):
            APIError(status: 409, code: "option_not_found", message: "Look again.")
        case .rejected(.invalid(let field, let message)): .invalid(field: field, message: message)
        case .storageUnavailable:
            APIError(status: 503, code: "storage_unavailable", message: "Try again.")
        case .commitUnknown:
            APIError(status: 504, code: "commit_unknown", message: "Send it again.")
        case .overloaded, .counted, .repeated, .changed: .overloaded
        }
    }

    static func of(_ refusal: CatalogueRefusal) -> APIError {
        refusal == .pollNotFound ? .pollNotFound : .overloaded
    }
}

enum HostKey {
    static func hash(_ text: String) -> [UInt8] { Array(text.utf8) }
    static func matches(_ a: [UInt8], _ b: [UInt8]) -> Bool { a == b }
}

extension IdentityHasher {
    func key(of identity: VoterIdentity) -> VoterKey {
        switch identity {
        case .name(let name): VoterKey(high: 1, low: UInt64(bitPattern: Int64(name.hashValue)))
        case .token(let id): VoterKey(high: 2, low: id.low)
        case .subject(let name): VoterKey(high: 3, low: UInt64(bitPattern: Int64(name.hashValue)))
        }
    }
}

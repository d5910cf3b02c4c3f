import Polls
package import Telemetry

/// What the front door of one loop counts. Each loop has its own, so that no two write to one cache
/// line in turn; a scrape adds them up.
package final class GatewayStatistics: Sendable {
    /// What who sent a vote was answered, over HTTP or a WebSocket.
    enum VoteAnswer: Int, CaseIterable {
        case counted, repeated, changed, queued
        case alreadyVoted, pollNotFound, optionNotFound, pollNotOpen, pollClosed, invalid
        case voterRequired, unauthorized, rateLimited
        case overloaded, storageUnavailable, commitUnknown
    }

    /// Of those that `--limit` and `--rate-…` set, and three that are fixed.
    enum Limit: Int, CaseIterable {
        case subscriptions, connectionsPerAddress
        case ratePolls, rateVotes, rateMessages, rateHandshakes
        case unansweredMessages, exports, changes
    }

    private let answers = VoteAnswer.allCases.map { _ in Counter() }
    private let limits = Limit.allCases.map { _ in Counter() }

    package init() {}

    func count(_ answer: VoteAnswer) { answers[answer.rawValue].add() }

    func count(outcome: BallotOutcome) { count(VoteAnswer(outcome)) }

    /// A vote that was refused before it was a ballot.
    func count(error: APIError) { count(VoteAnswer(error)) }

    func count(limit: Limit) { limits[limit.rawValue].add() }

    package static func write(_ parts: [GatewayStatistics], to text: inout MetricsText) {
        text.counter(
            "pollstream_votes_total", "Votes by what their senders were answered.", by: "answer",
            VoteAnswer.allCases.map { answer in
                (label: answer.name, value: sum(parts) { $0.answers[answer.rawValue] })
            })
    }

    package static func limits(of parts: [GatewayStatistics]) -> [(name: String, count: UInt64)] {
        Limit.allCases.map { limit in
            (name: limit.name, count: sum(parts) { $0.limits[limit.rawValue] })
        }
    }

    private static func sum(
        _ parts: [GatewayStatistics], _ counter: (GatewayStatistics) -> Counter
    ) -> UInt64 {
        parts.reduce(0) { $0 &+ counter($1).value }
    }
}

extension GatewayStatistics.VoteAnswer {
    init(_ outcome: BallotOutcome) {
        self =
            switch outcome {
            case .counted: .counted
            case .repeated: .repeated
            case .changed: .changed
            case .alreadyVoted: .alreadyVoted
            case .rejected(.pollNotFound): .pollNotFound
            case .rejected(.optionNotFound), .rejected(.optionsChanged): .optionNotFound
            case .rejected(.pollNotOpen): .pollNotOpen
            case .rejected(.pollClosed): .pollClosed
            case .rejected(.invalid): .invalid
            case .overloaded: .overloaded
            case .storageUnavailable: .storageUnavailable
            case .commitUnknown: .commitUnknown
            }
    }

    /// Whatever is wrong with the request itself counts as invalid.
    init(_ error: APIError) {
        self = Self.allCases.first { $0.name == error.code } ?? .invalid
    }

    /// As `code` or `status` has it in an answer.
    var name: String {
        switch self {
        case .counted: "counted"
        case .repeated: "repeated"
        case .changed: "changed"
        case .queued: "queued"
        case .alreadyVoted: "already_voted"
        case .pollNotFound: "poll_not_found"
        case .optionNotFound: "option_not_found"
        case .pollNotOpen: "poll_not_open"
        case .pollClosed: "poll_closed"
        case .invalid: "invalid"
        case .voterRequired: "voter_required"
        case .unauthorized: "unauthorized"
        case .rateLimited: "rate_limited"
        case .overloaded: "overloaded"
        case .storageUnavailable: "storage_unavailable"
        case .commitUnknown: "commit_unknown"
        }
    }
}

extension GatewayStatistics.Limit {
    /// As the option has it.
    var name: String {
        switch self {
        case .subscriptions: "subscriptions"
        case .connectionsPerAddress: "connections-per-address"
        case .ratePolls: "rate-polls"
        case .rateVotes: "rate-votes"
        case .rateMessages: "rate-messages"
        case .rateHandshakes: "rate-handshakes"
        case .unansweredMessages: "unanswered-messages"
        case .exports: "exports"
        case .changes: "changes"
        }
    }

    init(_ action: RateSubject.Action) {
        self =
            switch action {
            case .polls: .ratePolls
            case .votes: .rateVotes
            case .messages: .rateMessages
            case .handshakes: .rateHandshakes
            }
    }
}

/// A poll, as `GET /polls/{id}/` tells it (PROTOCOL).
public struct Poll: Sendable, Equatable {
    public enum State: String, Sendable { case scheduled, open, closed, deleted }

    public struct Option: Sendable, Equatable {
        public var id: Int64
        public var text: String
        /// nil where results are hidden from this caller.
        public var voteCount: Int64?
    }

    public var id: Int64
    public var title: String
    public var description: String
    public var creatorName: String
    public var isMultiple: Bool
    /// Options that one ballot may mark.
    public var maxChoices: Int64
    public var state: State
    /// RFC 3339, as sent; nil: open from the start, or until it is closed.
    public var startsAt: String?
    public var endTime: String?
    public var joinCode: String
    /// Only grows; a higher one replaces a lower one.
    public var revision: Int64
    /// Ballots; nil where results are hidden from this caller.
    public var totalVotes: Int64?
    public var options: [Option]
}

/// The counts of a poll at one revision: absolute, so that the newest is all one needs.
public struct Tally: Sendable, Equatable {
    public var pollID: Int64
    public var revision: Int64
    /// Ballots, not marks.
    public var total: Int64
    /// By position of the option.
    public var counts: [Int64]
    /// When the oldest ballot in it reached its gateway; Unix milliseconds.
    public var at: Int64
}

/// What became of a ballot.
public struct Receipt: Sendable, Equatable {
    public enum Status: String, Sendable {
        case counted
        /// It replaced an earlier choice of the same voter.
        case changed
    }

    public var status: Status
    /// It had been counted before: this one was a retry.
    public var isRepeated: Bool
    public var revision: Int64
}

/// What a follower hears, poll by poll in the order of revisions.
public enum LiveEvent: Sendable, Equatable {
    /// First, and after every change of a poll; with it the counts, where they may be seen.
    case snapshot(Poll)
    case tally(Tally)
    /// After the final tally where it is `closed`.
    case state(pollID: Int64, revision: Int64, state: Poll.State)
    case viewers(pollID: Int64, count: Int64)
    /// What is subscribed to is there, as far as the gateway knows.
    case connected
    /// Nothing is heard until `connected` comes again.
    case disconnected(reason: String)
}

/// What a poll is made of; what is left out is PROTOCOL's default.
public struct PollDraft: Sendable {
    public var title: String
    /// 2 to 20, each of at most 255 characters.
    public var options: [String]
    public var isMultiple = false
    /// nil: 1, or all options of a poll of multiple choice.
    public var maxChoices: Int64?
    public var changesVote = false

    public init(title: String, options: [String]) {
        self.title = title
        self.options = options
    }
}

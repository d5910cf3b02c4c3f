/// A poll, as `GET /polls/{id}/` tells it (PROTOCOL).
public struct Poll: Sendable, Equatable {
    /// Only an open poll takes ballots.
    public enum State: String, Sendable { case scheduled, open, closed, deleted }

    /// One answer that a poll offers.
    public struct Option: Sendable, Equatable {
        /// What a ballot names; unique over all polls of a gateway.
        public var id: Int64
        /// As the host wrote it.
        public var text: String
        /// nil where results are hidden from this caller.
        public var voteCount: Int64?
    }

    /// Names it in every call.
    public var id: Int64
    /// The question.
    public var title: String
    /// More about it; may be empty.
    public var description: String
    /// Who asks; may be empty.
    public var creatorName: String
    /// Whether a ballot may mark several options.
    public var isMultiple: Bool
    /// Options that one ballot may mark.
    public var maxChoices: Int64
    /// Where it is in its life.
    public var state: State
    /// RFC 3339, as sent; nil: open from the start.
    public var startsAt: String?
    /// RFC 3339, as sent; nil: it stays open until it is closed.
    public var endTime: String?
    /// What people type to find it.
    public var joinCode: String
    /// Only grows; a higher one replaces a lower one.
    public var revision: Int64
    /// Ballots; nil where results are hidden from this caller.
    public var totalVotes: Int64?
    /// In the order in which counts come.
    public var options: [Option]
}

/// The counts of a poll at one revision: absolute, so that the newest is all one needs.
public struct Tally: Sendable, Equatable {
    /// Whose counts these are.
    public var pollID: Int64
    /// Only grows; a higher one replaces a lower one.
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
    /// How it was counted.
    public enum Status: String, Sendable {
        /// It is the voter's first for this poll.
        case counted
        /// It replaced an earlier choice of the same voter.
        case changed
    }

    /// How it was counted; what was not counted is an error instead.
    public var status: Status
    /// It had been counted before: this one was a retry.
    public var isRepeated: Bool
    /// Of a tally that counts it.
    public var revision: Int64
}

/// What a follower hears, poll by poll in the order of revisions.
public enum LiveEvent: Sendable, Equatable {
    /// First, and after every change of a poll; with it the counts, where they may be seen.
    case snapshot(Poll)
    /// New counts; older ones than were heard before are left out.
    case tally(Tally)
    /// After the final tally where it is `closed`.
    case state(pollID: Int64, revision: Int64, state: Poll.State)
    /// How many watch the poll by now.
    case viewers(pollID: Int64, count: Int64)
    /// What is subscribed to is there, as far as the gateway knows.
    case connected
    /// Nothing is heard until `connected` comes again.
    case disconnected(reason: String)
}

/// What a poll is made of; what is left out is PROTOCOL's default.
public struct PollDraft: Sendable {
    /// The question.
    public var title: String
    /// 2 to 20, each of at most 255 characters.
    public var options: [String]
    /// Whether a ballot may mark several options.
    public var isMultiple = false
    /// nil: 1, or all options of a poll of multiple choice.
    public var maxChoices: Int64?
    /// Whether voters may replace their choice while the poll is open.
    public var changesVote = false

    /// A poll of single choice that is open at once.
    public init(title: String, options: [String]) {
        self.title = title
        self.options = options
    }
}

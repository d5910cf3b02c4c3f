/// A question with its options, its rules, and the tally that was read with it.
package struct Poll: Sendable, Equatable {
    package var id: PollID
    package var title: String
    package var description: String
    package var creatorName: String
    /// In the order of their positions; a position is an index here and in `tally.counts`.
    package var options: [PollOption]
    package var kind: PollKind
    /// 1 for `single`; at most the number of options.
    package var maxChoices: Int
    package var results: ResultsVisibility
    package var allowsChange: Bool
    /// Whether pages ask their visitors for a name. Says nothing of who may vote.
    package var asksName: Bool
    /// Times are Unix milliseconds.
    package var createdAt: Int64
    package var startsAt: Int64?
    package var endTime: Int64?
    package var closedAt: Int64?
    /// Letters and digits that can be read aloud; upper case.
    package var joinCode: String
    /// Counts the changes of the options: a ballot commits only at the edition it was admitted for.
    package var edition: Int32
    /// Whether the opening has been committed and announced (at once without `startsAt`).
    package var isOpened: Bool
    /// The revision of the last change that everybody may see: all but ballots.
    package var shownRevision: Int64
    package var tally: Tally

    package init(
        id: PollID, title: String, description: String, creatorName: String,
        options: [PollOption], kind: PollKind, maxChoices: Int, results: ResultsVisibility,
        allowsChange: Bool, createdAt: Int64, startsAt: Int64?, endTime: Int64?, closedAt: Int64?,
        joinCode: String, edition: Int32, isOpened: Bool, shownRevision: Int64, tally: Tally,
        asksName: Bool = false
    ) {
        self.id = id
        self.title = title
        self.description = description
        self.creatorName = creatorName
        self.options = options
        self.kind = kind
        self.maxChoices = maxChoices
        self.results = results
        self.allowsChange = allowsChange
        self.asksName = asksName
        self.createdAt = createdAt
        self.startsAt = startsAt
        self.endTime = endTime
        self.closedAt = closedAt
        self.joinCode = joinCode
        self.edition = edition
        self.isOpened = isOpened
        self.shownRevision = shownRevision
        self.tally = tally
    }

    /// What is shown: a change of state counts once it is committed, never by the clock alone.
    package var state: PollState {
        if closedAt != nil { .closed } else if isOpened { .open } else { .scheduled }
    }

    /// Whether who neither voted nor hosts sees the counts.
    package var showsCountsToEverybody: Bool {
        results == .live || state == .closed
    }
}

/// A poll with what only the front door may look at.
package struct PollRecord: Sendable, Equatable {
    package var poll: Poll
    /// SHA-256 of the host key; the key itself is stored nowhere.
    package var hostKeyHash: [UInt8]

    package init(poll: Poll, hostKeyHash: [UInt8]) {
        self.poll = poll
        self.hostKeyHash = hostKeyHash
    }
}

/// 1 to 2^47 - 1: six bytes of a ballot's key.
package struct PollID: Hashable, Sendable, Comparable {
    package let rawValue: Int64

    /// nil outside the range.
    package init?(_ rawValue: Int64) {
        guard (1..<(1 << 47)).contains(rawValue) else { return nil }
        self.rawValue = rawValue
    }

    package static func < (a: PollID, b: PollID) -> Bool { a.rawValue < b.rawValue }
}

/// One answer that a poll offers. Its position in the poll is what ballots and counts go by.
package struct PollOption: Sendable, Equatable {
    /// Unique over all polls.
    package var id: Int64
    package var text: String

    package init(id: Int64, text: String) {
        self.id = id
        self.text = text
    }
}

/// Whether a ballot marks one option or several.
package enum PollKind: String, Sendable { case single, multiple }

/// Where a poll is in its life: only an open one takes ballots.
package enum PollState: String, Sendable { case scheduled, open, closed }

/// When counts are shown to who does not host.
package enum ResultsVisibility: String, Sendable {
    case live
    case afterVote = "after_vote"
    case afterClose = "after_close"
}

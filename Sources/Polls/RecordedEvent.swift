/// Something that was committed, as a store keeps it for other services until they have been told.
package struct RecordedEvent: Sendable, Equatable {
    /// By which the store finds it again.
    package struct ID: Hashable, Sendable {
        package let order: Int64
        package let number: Int64

        package init(order: Int64 = 0, number: Int64) {
            self.order = order
            self.number = number
        }
    }

    package enum Content: Sendable, Equatable {
        /// Of one commit, of one poll: each voter at most once.
        case ballots([RecordedBallot])
        case change(PollChangeKind, PollFacts)
    }

    package var id: ID
    package var pollID: PollID
    /// For ballots as it is when they are read, or as its deletion left it.
    package var words: PollWords
    package var content: Content

    package init(id: ID, pollID: PollID, words: PollWords, content: Content) {
        self.id = id
        self.pollID = pollID
        self.words = words
        self.content = content
    }
}

/// What of a poll tells people what it is about.
package struct PollWords: Sendable, Equatable {
    package var title: String
    package var results: ResultsVisibility
    /// In the order of their positions.
    package var options: [PollOption]

    package init(title: String, results: ResultsVisibility, options: [PollOption]) {
        self.title = title
        self.results = results
        self.options = options
    }
}

/// A ballot that was counted, or that replaced its voter's earlier one.
package struct RecordedBallot: Sendable, Equatable {
    package var id: Int64
    package var choices: Choices
    /// What it replaced; nothing where it is the voter's first.
    package var replaced: Choices
    /// As the export shows it; empty for who is known by a cookie alone.
    package var voter: String
    /// Unix milliseconds.
    package var castAt: Int64

    package init(id: Int64, choices: Choices, replaced: Choices, voter: String, castAt: Int64) {
        self.id = id
        self.choices = choices
        self.replaced = replaced
        self.voter = voter
        self.castAt = castAt
    }
}

/// What was done to a poll, as other services are told.
package enum PollChangeKind: String, Sendable, CaseIterable {
    case created, changed, opened, closed, deleted
}

/// What a change left behind, as its transaction saw it.
package struct PollFacts: Sendable, Equatable {
    package var revision: Int64
    package var state: PollState
    /// Unix milliseconds.
    package var startsAt: Int64?
    package var endTime: Int64?
    package var closedAt: Int64?
    package var ballots: Int64
    /// In the order of the options.
    package var counts: [Int64]

    package init(
        revision: Int64, state: PollState, startsAt: Int64?, endTime: Int64?, closedAt: Int64?,
        ballots: Int64, counts: [Int64]
    ) {
        self.revision = revision
        self.state = state
        self.startsAt = startsAt
        self.endTime = endTime
        self.closedAt = closedAt
        self.ballots = ballots
        self.counts = counts
    }
}

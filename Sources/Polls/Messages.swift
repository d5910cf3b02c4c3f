/// What travels between the front door and the catalogue, and what everybody hears of.

/// A question to the catalogue. Whoever asks has the right to.
package enum CatalogueRequest: Sendable {
    case create(PollDraft)
    /// Answered in order, nil where there is none.
    case read([PollID])
    /// What has become of these since.
    case refresh([KnownPoll])
    case find(joinCode: String)
    case list(PollFilter, page: Int, pageSize: Int)
    case change(PollID, PollChange)
    case open(PollID)
    case close(PollID)
    case delete(PollID)
    /// Whether this voter has a ballot.
    case hasBallot(BallotKey)
    /// What these voters have chosen; answered in order, nil for who has no ballot.
    case choices([BallotKey])
    case audit(PollID)
    /// One page of an export, by key.
    case ballots(PollID, after: BallotKey?, limit: Int)
}

/// What the catalogue says to a request, by the request's kind.
package enum CatalogueAnswer: Sendable {
    case created(PollRecord, hostKey: String)
    /// Also what `open`, `close` and `change` left behind.
    case poll(PollRecord)
    case polls([PollRecord?])
    case refreshed(RefreshedPolls)
    case page(PollPage)
    case deleted
    case ballot(exists: Bool)
    case choices([Choices?])
    case audit(Audit)
    case ballots([StoredBallot])
    case refused(CatalogueRefusal)
}

/// Why the catalogue does not do what it was asked.
package enum CatalogueRefusal: Error, Sendable, Equatable {
    case pollNotFound
    case pollClosed
    case hasBallots
    case invalid(InvalidPoll)
    case overloaded
    case storageUnavailable
    /// The change may or may not have been made.
    case commitUnknown
}

/// An answer on its way back to the loop that asked.
package struct CatalogueReply: Sendable {
    package let ticket: Ticket
    package let answer: CatalogueAnswer

    package init(ticket: Ticket, answer: CatalogueAnswer) {
        self.ticket = ticket
        self.answer = answer
    }
}

/// A poll as somebody last heard of it.
package struct KnownPoll: Sendable, Equatable {
    package var id: PollID
    /// Of its tally.
    package var revision: Int64
    /// Of the last change that everybody may see. A tally that was heard since tells nothing of it.
    package var shownRevision: Int64

    package init(id: PollID, revision: Int64, shownRevision: Int64) {
        self.id = id
        self.revision = revision
        self.shownRevision = shownRevision
    }

    package init(_ poll: Poll) {
        self.init(
            id: poll.id, revision: poll.tally.revision, shownRevision: poll.shownRevision)
    }
}

/// What became of polls that somebody knew.
package struct RefreshedPolls: Sendable, Equatable {
    package var changed: [PollRecord]
    /// Deleted.
    package var gone: [PollID]

    package init(changed: [PollRecord], gone: [PollID]) {
        self.changed = changed
        self.gone = gone
    }
}

/// Which polls a list holds, by their state.
package enum PollFilter: String, Sendable { case open, scheduled, closed, all }

/// One page of a list, newest first.
package struct PollPage: Sendable {
    package var polls: [Poll]
    /// Polls on all pages.
    package var count: Int

    package init(polls: [Poll], count: Int) {
        self.polls = polls
        self.count = count
    }
}

/// Whether the stored tally is the stored ballots.
package struct Audit: Sendable, Equatable {
    package var tally: Tally
    /// Counted from the ballots, in the same statement.
    package var ballots: Int64
    package var counts: [Int64]
    /// When retention had removed the ballots and kept the tally, Unix milliseconds; nil before.
    package var emptiedAt: Int64?

    package init(tally: Tally, ballots: Int64, counts: [Int64], emptiedAt: Int64? = nil) {
        self.tally = tally
        self.ballots = ballots
        self.counts = counts
        self.emptiedAt = emptiedAt
    }

    package var isConsistent: Bool {
        emptiedAt != nil || tally.ballots == ballots && tally.counts == counts
    }
}

/// A row of an export.
package struct StoredBallot: Sendable, Equatable {
    package var key: BallotKey
    package var choices: Choices
    package var voter: String
    /// Unix milliseconds.
    package var castAt: Int64

    package init(key: BallotKey, choices: Choices, voter: String, castAt: Int64) {
        self.key = key
        self.choices = choices
        self.voter = voter
        self.castAt = castAt
    }
}

/// What has been committed and everybody who watches hears of.
package enum PollEvent: Sendable {
    case tallies([Tally])
    case created(PollID)
    /// Opened, closed, or changed by its host: the whole poll as the change left it.
    case changed(PollRecord, PollTransition)
    case deleted(PollID, revision: Int64)
}

/// A counted vote as the feed of all votes tells of it.
package struct VoteNotice: Sendable, Equatable {
    package var pollID: PollID
    /// Of the option; of several, the first.
    package var position: Int
    /// The name that the voter gave; empty where there is none to be told.
    package var voter: String

    package init(pollID: PollID, position: Int, voter: String) {
        self.pollID = pollID
        self.position = position
        self.voter = voter
    }
}

/// What a host did to a poll, or its times did.
package enum PollTransition: Sendable, Equatable { case opened, closed, edited }

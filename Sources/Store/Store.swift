package import Polls

// A database that speaks polls and ballots. Everything blocks; each protocol is one connection's
// worth of work, used by one thread at a time unless a conformer says more. Times are Unix
// milliseconds by the database's clock.

/// The ledger's side: makes ballots durable.
package protocol LedgerStore: AnyObject {
    /// Commits `ballots` and the tallies they change in one transaction.
    ///
    /// One ballot per key: a voter's earlier ballot wins, or is replaced where the poll allows it;
    /// of equal keys in one batch the first wins, or the last. A poll that is gone, scheduled,
    /// closed, past its end by the database's clock, or at another edition refuses its ballots;
    /// the others commit. Settling the same ballots again is harmless, also after
    /// `StoreError.commitUnknown`. No ballots at all: tells whether a transaction can be had.
    /// - Parameters:
    ///   - ballots: in the order in which they came.
    ///   - deadlines: of each ballot, monotonic nanoseconds. From then on its voter may have been
    ///     told that nobody knows, and have voted anew through another gateway: it replaces no other
    ///     ballot any more, however long it was on its way, and is `storageUnavailable`.
    /// - Returns: an outcome for each ballot, in their order, and the tallies that changed, as the
    ///   transaction left them.
    /// - Throws: `.unavailable` when nothing was stored, `.commitUnknown` when that is not certain.
    func settle(_ ballots: [Ballot], until deadlines: [Int64]) throws(StoreError) -> Settlement
}

extension LedgerStore {
    /// For voters who wait for ever.
    /// - Throws: as `settle(_:until:)`.
    package func settle(_ ballots: [Ballot]) throws(StoreError) -> Settlement {
        try settle(ballots, until: Array(repeating: .max, count: ballots.count))
    }
}

/// The catalogue's side: polls. Each call may throw `.unavailable`, and where it changes something
/// `.commitUnknown`; what else it throws stands with it.
package protocol CatalogueStore: AnyObject {
    /// Stores a new poll.
    /// - Parameters:
    ///   - draft: what it is made of.
    ///   - hostKeyHash: SHA-256 of the key that may change it.
    ///   - joinCode: a candidate.
    /// - Throws: `.joinCodeTaken` where another poll has it.
    func create(_ draft: PollDraft, hostKeyHash: [UInt8], joinCode: String)
        throws(StoreError) -> PollRecord

    /// In the order of `ids`, nil where there is none; a fixed number of statements.
    func read(_ ids: [PollID]) throws(StoreError) -> [PollRecord?]

    /// Those that have changed or gone since they were `known`.
    func refresh(_ known: [KnownPoll]) throws(StoreError) -> RefreshedPolls

    /// The poll of a join code, nil where no poll has it.
    func find(joinCode: String) throws(StoreError) -> PollRecord?

    /// Newest first; `page` from 1. A page past the end is empty.
    func list(_ filter: PollFilter, page: Int, pageSize: Int) throws(StoreError) -> PollPage

    /// - Throws: `.pollNotFound`, `.pollClosed`, `.hasBallots` (options after the first ballot),
    ///   `.endBeforeStart`.
    func change(_ id: PollID, _ change: PollChange) throws(StoreError) -> PollRecord

    /// Idempotent; the Bool tells whether anything changed. - Throws: `.pollNotFound`, `.pollClosed`.
    func open(_ id: PollID) throws(StoreError) -> (PollRecord, changed: Bool)

    /// Idempotent; the final tally is in the answer. - Throws: `.pollNotFound`.
    func close(_ id: PollID) throws(StoreError) -> (PollRecord, changed: Bool)

    /// Refuses further ballots first, then removes ballots in slices, then the poll.
    /// - Returns: a revision above all that was shown. - Throws: `.pollNotFound`.
    func delete(_ id: PollID) throws(StoreError) -> Int64

    /// Opens and closes, each in a transaction of its own, what is due by the database's clock;
    /// at most `limit` polls a call.
    func makeDueTransitions(limit: Int) throws(StoreError) -> [(PollRecord, PollTransition)]

    /// Milliseconds until the next poll is due to open or close, by the database's clock; 0 when one
    /// is due; nil where none will be.
    func millisecondsUntilNextTransition() throws(StoreError) -> Int64?

    /// What these voters have chosen, in the order of `keys`, nil for who has no ballot; one
    /// statement for each store that can.
    func choices(of keys: [BallotKey]) throws(StoreError) -> [Choices?]
}

extension CatalogueStore {
    /// Whether this voter has a ballot.
    /// - Throws: as `choices(of:)`.
    package func hasBallot(_ key: BallotKey) throws(StoreError) -> Bool {
        try choices(of: [key])[0] != nil
    }

    /// By reading all of them.
    /// - Throws: as `read(_:)`.
    package func refresh(_ known: [KnownPoll]) throws(StoreError) -> RefreshedPolls {
        var refreshed = RefreshedPolls(changed: [], gone: [])
        for (poll, record) in zip(known, try read(known.map(\.id))) {
            if let record {
                if record.poll.isNewer(than: poll) { refreshed.changed.append(record) }
            } else {
                refreshed.gone.append(poll.id)
            }
        }
        return refreshed
    }
}

extension Poll {
    fileprivate func isNewer(than known: KnownPoll) -> Bool {
        tally.revision > known.revision || shownRevision > known.shownRevision
    }
}

/// For long reads, on connections of their own: no transaction is held between calls. Each may throw
/// `.unavailable`.
package protocol ExportStore: AnyObject {
    /// One statement. - Throws: `.pollNotFound`.
    func audit(_ id: PollID) throws(StoreError) -> Audit

    /// Ascending by key, after `key` where it is given. A deleted poll is an empty page.
    func ballots(of id: PollID, after key: BallotKey?, limit: Int)
        throws(StoreError) -> [StoredBallot]
}

/// What was committed, kept for other services until they have been told. On a connection of its own.
/// Each call may throw `.unavailable`; one that changes something, `.commitUnknown`.
package protocol EventStore: AnyObject {
    /// Whether what is committed from here on is kept; the database remembers. Ending it forgets what
    /// is kept.
    func setRecording(_ isOn: Bool) throws(StoreError)

    /// Whether commits keep what they changed, for other services.
    func isRecording() throws(StoreError) -> Bool

    /// Makes `node` the one gateway that tells, for some time, unless another one is.
    /// - Returns: whether it is.
    func lease(to node: Int64, forMilliseconds duration: Int64) throws(StoreError) -> Bool

    /// Ends it before its time.
    func endLease(of node: Int64) throws(StoreError)

    /// The oldest, those of each poll in the order in which they were committed. What a transaction
    /// that commits late has recorded is found when it has, in front of what its poll's later ones
    /// have.
    /// - Parameter limit: of ballots and changes; the last event may go beyond it.
    func events(limit: Int) throws(StoreError) -> [RecordedEvent]

    /// They were told. Harmless where it was done already.
    func forget(_ ids: [RecordedEvent.ID]) throws(StoreError)

    /// Commits on PostgreSQL, ballots on SQLite, and changes of polls.
    func eventCount() throws(StoreError) -> Int64
}

/// What is taken away when a poll has been over for long. Small steps, so that nobody waits for them.
/// A step that throws is taken again later.
package protocol RetentionStore: AnyObject {
    /// Works on at most `limit` ballots of a poll that closed `age` milliseconds ago or earlier. Who
    /// has lost the voter's text still cannot vote twice; a poll that has lost its ballots keeps its
    /// tally, and its audit says since when.
    /// - Returns: 0 when nothing is left to do.
    func retain(_ step: RetentionStep, closedForMilliseconds age: Int64, limit: Int)
        throws(StoreError) -> Int
}

/// In this order; a step's number is how many were done before it.
package enum RetentionStep: Int64, Sendable, CaseIterable {
    case blankVoters = 0
    case removeBallots = 1
}

/// What became of ballots: their outcomes in the order in which they were given, and the tally of each
/// poll that they changed.
package struct Settlement: Sendable, Equatable {
    package var outcomes: [BallotOutcome]
    package var tallies: [Tally]

    package init(outcomes: [BallotOutcome], tallies: [Tally]) {
        self.outcomes = outcomes
        self.tallies = tallies
    }
}

/// Why a store did not do what it was asked; every case says whether anything was stored.
package enum StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Nothing was stored; it may work later.
    case unavailable(reason: String)
    /// Whether it was stored is not known.
    case commitUnknown(reason: String)
    /// It cannot be used as it is: not a database, another program's, a newer schema, damaged,
    /// locked by another gateway.
    case unusable(reason: String)
    case pollNotFound
    case pollClosed
    case hasBallots
    case endBeforeStart
    case joinCodeTaken

    /// As the log and the command line say it.
    package var description: String {
        switch self {
        case .unavailable(let reason), .unusable(let reason): reason
        case .commitUnknown(let reason): "nobody knows whether it was stored: \(reason)"
        case .pollNotFound: "there is no such poll"
        case .pollClosed: "the poll is closed"
        case .hasBallots: "the poll has ballots"
        case .endBeforeStart: "the poll would end before it starts"
        case .joinCodeTaken: "the join code is taken"
        }
    }
}

/// Secrets that all gateways on one database share: made once, when the schema is created.
package struct StoreKeys: Sendable {
    /// 32 bytes: voters' identities are hashed with it.
    package let identity: [UInt8]
    /// 32 bytes: voter cookies are signed with it unless a file gives another.
    package let cookie: [UInt8]

    package init(identity: [UInt8], cookie: [UInt8]) {
        self.identity = identity
        self.cookie = cookie
    }
}

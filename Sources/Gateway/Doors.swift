package import Polls
package import Reactor

/// The ways out of the front door. `main` joins them to the rooms behind; any loop may call them.
package struct Doors: Sendable {
    /// Hands a ballot to the ledger; false where its queue is full.
    package var enqueue: @Sendable (Ballot) -> Bool
    /// Asks the catalogue; false where its queue is full. The answer comes through the inbox.
    package var ask: @Sendable (CatalogueRequest, Ticket) -> Bool
    /// Whether storage answers: `/readyz`.
    package var isReady: @Sendable () -> Bool
    /// Prometheus text for `/metrics`.
    package var metrics: @Sendable () -> [UInt8]
    /// Begins to drain the process; nil takes the configured duration.
    package var drain: @Sendable (_ seconds: Int?) -> Void
    /// Puts a message into the inbox of every other loop of the process.
    package var tellOthers: @Sendable (LoopMessage, _ from: UInt32) -> Void

    /// A loop has the first watcher of a poll, or has lost the last.
    package var watch: @Sendable (PollID, _ isWatched: Bool) -> Void
    /// Tells other gateways of a counted vote, for those who listen to all of them.
    package var tellGateways: @Sendable (VoteNotice) -> Void
    /// Tells them whose ballot of an `after_vote` poll is stored.
    package var tellVoted: @Sendable (PollID, VoterKey) -> Void
    /// Whether `tellRefused` wants to hear of requests that are wrong by themselves, too.
    package var tellsRefusals: @Sendable () -> Bool
    /// Tells the log of a request that was refused.
    package var tellRefused: @Sendable (RefusedRequest) -> Void

    package init(
        enqueue: @escaping @Sendable (Ballot) -> Bool,
        ask: @escaping @Sendable (CatalogueRequest, Ticket) -> Bool,
        isReady: @escaping @Sendable () -> Bool,
        metrics: @escaping @Sendable () -> [UInt8],
        drain: @escaping @Sendable (_ seconds: Int?) -> Void,
        tellOthers: @escaping @Sendable (LoopMessage, _ from: UInt32) -> Void = { _, _ in },
        watch: @escaping @Sendable (PollID, _ isWatched: Bool) -> Void = { _, _ in },
        tellGateways: @escaping @Sendable (VoteNotice) -> Void = { _ in },
        tellVoted: @escaping @Sendable (PollID, VoterKey) -> Void = { _, _ in },
        tellsRefusals: @escaping @Sendable () -> Bool = { false },
        tellRefused: @escaping @Sendable (RefusedRequest) -> Void = { _ in }
    ) {
        self.enqueue = enqueue
        self.ask = ask
        self.isReady = isReady
        self.metrics = metrics
        self.drain = drain
        self.tellOthers = tellOthers
        self.watch = watch
        self.tellGateways = tellGateways
        self.tellVoted = tellVoted
        self.tellsRefusals = tellsRefusals
        self.tellRefused = tellRefused
    }
}

/// The ways in: what other threads put into a loop's inbox.
package enum LoopMessage: Sendable {
    case settled([SettledBallot])
    case answered(CatalogueReply)
    case happened(PollEvent)
    /// Other gateways committed tallies, and changed polls in a way that the database tells.
    case heard(tallies: [Tally], changed: [PollID])
    /// Another loop answered a ballot of an `after_vote` poll: its voter may see the counts now.
    case voted(PollID, BallotKey)
    /// For who listens to all votes: counted by another loop, or another gateway.
    case counted([VoteNotice])
    /// Everything but `/readyz` and new connections goes on for `delay`; then connections are closed,
    /// spread over `spread`. Milliseconds.
    case drain(delay: UInt32, spread: UInt32)
    /// The store is there, and with it who can tell voters apart.
    case unlock(Secrets)
    /// Certificates were read anew: for handshakes from here on.
    case certificates(TLSContext)
    case stop
}

package import Polls
package import Store
package import Telemetry

/// The ledgers of a process: one for each connection to the store. A poll always belongs to the same
/// one, so that nothing overtakes a batch that is being settled.
package final class Ledgers: Sendable {
    private let ledgers: [Ledger]
    private let ballotLimit: Int
    private let statistics: LedgerStatistics

    /// As `Ledger.init`; the bound of waiting ballots is for all together.
    /// - Parameters:
    ///   - settings: of all together.
    ///   - stores: each is used by its ledger's thread alone; none where the process takes no ballots.
    ///   - log: is told when a store is lost and when it is back.
    ///   - settled: outcomes, each once; from the thread of the poll's ledger.
    ///   - happened: what was committed, before its outcomes; from the same thread.
    package convenience init(
        settings: LedgerSettings, stores: [any LedgerStore], log: Log,
        settled: @escaping @Sendable ([SettledBallot]) -> Void,
        happened: @escaping @Sendable (PollEvent) -> Void
    ) {
        var share = settings
        share.waitingBallots = max(1, settings.waitingBallots / max(1, stores.count))
        let statistics = LedgerStatistics()
        let ledgers = stores.enumerated().map { index, store in
            let subject =
                stores.count == 1 ? "storage for ballots" : "storage for ballots \(index)"
            return Ledger(
                settings: share, store: store, log: log, subject: subject, statistics: statistics,
                settled: settled, happened: happened)
        }
        self.init(ledgers, statistics, ballotLimit: settings.waitingBallots)
    }

    /// - Parameter statistics: those of all `ledgers`.
    init(_ ledgers: [Ledger], _ statistics: LedgerStatistics, ballotLimit: Int) {
        self.ledgers = ledgers
        self.ballotLimit = ballotLimit
        self.statistics = statistics
    }

    /// Once.
    package func start() { for ledger in ledgers { ledger.start() } }

    /// As `Ledger.enqueue`.
    package func enqueue(_ ballot: Ballot) -> Bool {
        if ledgers.isEmpty { return false }
        let count = Int64(ledgers.count)
        return ledgers[Int(ballot.pollID.rawValue % count)].enqueue(ballot)
    }

    /// Whether every one reached its store at the last attempt, and in time.
    package var isHealthy: Bool { ledgers.allSatisfy(\.isHealthy) }

    /// As `Ledger.drain`.
    package func drain(until deadline: Int64) -> Bool {
        // All of them, so that none goes on taking ballots.
        ledgers.map { $0.drain(until: deadline) }.allSatisfy { $0 }
    }

    package func write(to text: inout MetricsText) {
        statistics.write(to: &text)
        text.gauge(
            "pollstream_ledger_ballots", "Ballots in the ledger, waiting and in commit.",
            ledgers.reduce(0) { $0 + $1.ballotCount })
        text.gauge(
            "pollstream_ledger_ballots_limit", "Ballots that the ledger may hold.", ballotLimit)
        text.gauge(
            "pollstream_ledger_storage_up", "1 while the ledger reaches its store.",
            isHealthy ? 1 : 0)
        text.counter(
            "pollstream_ledger_storage_losses_total", "How often the ledger lost its store.",
            ledgers.reduce(0) { $0 + $1.lossCount })
    }

    /// Its limits, and how often ballots ran into them, by what `--limit` calls them.
    package var limits: [(name: String, count: UInt64)] {
        [
            ("waiting-ballots", statistics.refused.value),
            ("commit-timeout", statistics.expired.value),
        ]
    }
}

import Polls
import Store
import Threads

/// A store in memory that fails and blocks on command, with the contract's rules for keys and
/// revisions.
final class FaultyStore: LedgerStore, @unchecked Sendable {
    enum Fault {
        case unavailable
        /// Whether it was stored all the same.
        case commitUnknown(stored: Bool)
    }

    // Guarded by `monitor`: all that follow.
    private let monitor = Monitor()
    private var faults: [Fault] = []
    private var isDown = false
    private var isBlocked = false
    private var entered = 0
    private var rows: [BallotKey: Ballot] = [:]
    private var sizes: [Int] = []
    private var revision: Int64 = 0

    var storedIDs: Set<Int64> { monitor.withLock { Set(rows.values.map(\.id)) } }
    var batchSizes: [Int] { monitor.withLock { sizes } }

    /// The next attempts fail in this way, in turn.
    func fail(_ faults: [Fault]) { monitor.withLock { self.faults = faults } }

    func setDown(_ isDown: Bool) { monitor.withLock { self.isDown = isDown } }

    /// Attempts that begin from now on wait for `unblock`.
    func block() { monitor.withLock { isBlocked = true } }

    func unblock() {
        monitor.withLock { isBlocked = false }
        monitor.signalAll()
    }

    /// Returns once `count` attempts with ballots have begun.
    func waitForAttempts(_ count: Int) {
        monitor.withLock { while entered < count { monitor.wait() } }
    }

    func settle(_ ballots: [Ballot], until _: [Int64]) throws(StoreError) -> Settlement {
        monitor.lock()
        defer { monitor.unlock() }
        if !ballots.isEmpty {
            entered += 1
            monitor.signalAll()
        }
        while isBlocked { monitor.wait() }
        if isDown { throw .unavailable(reason: "down") }
        if ballots.isEmpty { return Settlement(outcomes: [], tallies: []) }
        if !faults.isEmpty {
            switch faults.removeFirst() {
            case .unavailable: throw .unavailable(reason: "told to")
            case .commitUnknown(let stored):
                if stored { _ = commit(ballots) }
                throw .commitUnknown(reason: "told to")
            }
        }
        sizes.append(ballots.count)
        return commit(ballots)
    }

    private func commit(_ ballots: [Ballot]) -> Settlement {
        revision += 1
        let outcomes = ballots.map { ballot -> BallotOutcome in
            guard let row = rows[ballot.key] else {
                rows[ballot.key] = ballot
                return .counted(revision: revision)
            }
            if row.choices != ballot.choices { return .alreadyVoted }
            return row.id == ballot.id
                ? .counted(revision: revision) : .repeated(revision: revision)
        }
        let count = Int64(rows.count)
        let tally = Tally(
            pollID: ballots[0].pollID, revision: revision, ballots: count, counts: [count], at: 0)
        return Settlement(outcomes: outcomes, tallies: [tally])
    }
}

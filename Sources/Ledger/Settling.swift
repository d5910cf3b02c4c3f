package import Polls
package import Store
package import Telemetry
import Threads

/// The ledger without its threads, its clock and its store: what happened goes in with the time, and
/// what to do next comes out. One thread does what a `Step` says; any thread brings ballots, and asks
/// for those whose limit has passed.
package final class Settling: @unchecked Sendable {
    /// What the thread does next. Times are monotonic nanoseconds.
    package enum Step: Equatable {
        /// Takes what waits for it, up to that time or for as long as it takes; then `took`.
        case take(until: Int64?)
        /// Gives them to the store; then `attempted`.
        case attempt(WaitingBallots)
        /// Asks the store whether it is back; then `probed`.
        case probe
        /// Then `rested`.
        case rest(until: Int64)
        case end
    }

    package let queue: BallotQueue
    private let health: Health
    private let log: Log
    private let statistics: LedgerStatistics
    private let commitLimitNanoseconds: Int64
    private let settled: @Sendable ([SettledBallot]) -> Void
    private let happened: @Sendable (PollEvent) -> Void
    // Guarded by `monitor`: `batch`.
    private let monitor = Monitor()
    private var batch: Batch

    /// While storage is lost and no ballot waits, it is asked this often whether it is back.
    private static let probeNanoseconds: Int64 = 500_000_000

    /// - Parameters:
    ///   - statistics: may be those of several ledgers.
    ///   - settled: each ballot's answer, once; from whichever thread calls.
    ///   - happened: the tallies of a commit, before its answers.
    init(
        settings: LedgerSettings, health: Health, log: Log, statistics: LedgerStatistics,
        settled: @escaping @Sendable ([SettledBallot]) -> Void,
        happened: @escaping @Sendable (PollEvent) -> Void
    ) {
        self.health = health
        self.log = log
        self.statistics = statistics
        self.settled = settled
        self.happened = happened
        commitLimitNanoseconds = settings.commitLimit.nanoseconds
        queue = BallotQueue(limit: settings.waitingBallots, batchLimit: settings.batchLimit)
        batch = Batch(backoff: Backoff(base: .milliseconds(20), limit: .milliseconds(500)))
    }

    package convenience init(
        settings: LedgerSettings, health: Health, log: Log,
        settled: @escaping @Sendable ([SettledBallot]) -> Void,
        happened: @escaping @Sendable (PollEvent) -> Void
    ) {
        self.init(
            settings: settings, health: health, log: log, statistics: LedgerStatistics(),
            settled: settled, happened: happened)
    }

    // MARK: Any thread

    /// - Returns: false where it is full or draining: the ballot was not taken, and is not answered.
    package func enqueue(_ ballot: Ballot, at now: Int64) -> Bool {
        if queue.enqueue(ballot, deadline: now + commitLimitNanoseconds) { return true }
        statistics.refused.add()
        return false
    }

    /// Takes no more; what waits is settled, and then comes `Step.end`.
    package func close() { queue.close() }

    /// Ballots that wait, and those in commit.
    package var count: Int { queue.count }

    /// When `expire` has something to do, as far as is known; nil where nobody waits for an answer.
    package var earliestDeadline: Int64? {
        let ofBatch = monitor.withLock { batch.earliestDeadline }
        guard let ofQueue = queue.earliestDeadline else { return ofBatch }
        return min(ofQueue, ofBatch ?? ofQueue)
    }

    /// Answers whose commit limit has passed: `overloaded` or `storageUnavailable` where nothing was
    /// attempted, else as `Batch` has it.
    package func expire(at now: Int64) {
        _ = step { batch in
            let action = batch.expire(at: now)
            // Under the lock, hence before the attempt can be seen to end: a recovery comes after it.
            if case .answer(let answers) = action {
                health.lose(reason: "no commit within the limit")
                statistics.expired.add(UInt64(answers.count))
            }
            return action
        }
        let expired = queue.removeExpired(at: now)
        if expired.isEmpty { return }
        statistics.expired.add(UInt64(expired.count))
        let outcome: BallotOutcome = health.isHealthy ? .overloaded : .storageUnavailable
        report(
            expired.map {
                SettledBallot(ticket: $0.ticket, pollID: $0.pollID, key: $0.key, outcome: outcome)
            })
    }

    // MARK: The ledger's thread

    /// What to begin with.
    package func begin(at now: Int64) -> Step {
        .take(until: health.isHealthy ? nil : now + Self.probeNanoseconds)
    }

    /// What to do with what the queue gave.
    package func took(_ taken: BallotQueue.Taken, at now: Int64) -> Step {
        switch taken {
        case .batch(let ballots): next(step { $0.append(ballots) }, at: now)
        case .nothing: .probe
        case .closed: .end
        }
    }

    /// What to do after an attempt to commit.
    /// - Parameters:
    ///   - result: of the store.
    ///   - now: monotonic nanoseconds.
    ///   - random: 0 to 1, for the delay after a failure.
    package func attempted(
        _ result: Result<Settlement, StoreError>, at now: Int64, random: Double
    ) -> Step {
        switch result {
        case .success(let settlement):
            // First, so that who is told that its ballot counts finds it in the tally.
            if !settlement.tallies.isEmpty { happened(.tallies(settlement.tallies)) }
            let action = step { $0.committed(settlement.outcomes) }
            health.recover()
            return next(action, at: now)
        case .failure(let error):
            statistics.failedCommits.add()
            health.lose(reason: "\(error)")
            // Only `unavailable` promises that nothing was stored.
            let failure: Batch.Failure =
                if case .unavailable = error { .unavailable } else { .commitUnknown }
            return next(step { $0.failed(failure, random: random) }, at: now)
        }
    }

    /// What to do after a transaction without ballots, which tells whether the database is back.
    package func probed(_ result: Result<Settlement, StoreError>, at now: Int64) -> Step {
        switch result {
        case .success: health.recover()
        case .failure(let error): health.lose(reason: "\(error)")
        }
        return begin(at: now)
    }

    /// What to do after the delay that follows a failure: the same batch again, or to give it up where
    /// everything ends.
    package func rested(at now: Int64) -> Step {
        if queue.isClosed, giveUp() { return begin(at: now) }
        return next(step { $0.retry() }, at: now)
    }

    private func next(_ action: Batch.Action, at now: Int64) -> Step {
        switch action {
        case .commit(let ballots): .attempt(ballots)
        case .retryAfter(let nanoseconds): .rest(until: now + nanoseconds)
        case .answer, .idle: begin(at: now)
        }
    }

    private func giveUp() -> Bool {
        guard let count = monitor.withLock({ batch.giveUp() }) else { return false }
        queue.release(count)
        if count > 0 {
            log.warning("ballots left with their commit unknown", ["ballots": "\(count)"])
        }
        return true
    }

    // MARK: Both

    /// Gives the batch an event, reports its answers, and makes room for those who left.
    private func step(_ event: (inout Batch) -> Batch.Action) -> Batch.Action {
        monitor.lock()
        let countBefore = batch.count
        let action = event(&batch)
        let leftCount = countBefore - batch.count
        monitor.unlock()
        var answeredCount = 0
        if case .answer(let answers) = action {
            answeredCount = answers.count
            report(answers)
        }
        if leftCount > 0 {
            statistics.settledLate.add(UInt64(max(0, leftCount - answeredCount)))
            queue.release(leftCount)
        }
        return action
    }

    private func report(_ answers: [SettledBallot]) {
        statistics.count(answers)
        settled(answers)
    }
}

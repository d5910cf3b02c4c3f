import Polls
import Store
import Telemetry
import Threads

/// The strong room: makes ballots durable, batch by batch.
///
/// Batches form by themselves, without a timer: one thread commits all that waits, reports, and
/// takes what came meanwhile. A second thread answers ballots whose commit limit passes while the
/// first waits for the store.
final class Ledger: @unchecked Sendable {
    private let store: any LedgerStore
    private let log: Log
    private let settled: @Sendable ([SettledBallot]) -> Void
    private let happened: @Sendable (PollEvent) -> Void
    private let random: @Sendable () -> Double
    private let commitLimitNanoseconds: Int64
    private let queue: BallotQueue
    private let health: Health
    let statistics: LedgerStatistics
    // Guarded by `monitor`: `batch`, `hasEnded`, `threads`. The store is called without it.
    private let monitor = Monitor()
    private var batch: Batch
    private var hasEnded = false
    private var threads: [Thread] = []

    /// While storage is lost and no ballot waits, it is asked this often whether it is back.
    private static let probeNanoseconds: Int64 = 500_000_000

    /// - Parameters:
    ///   - store: used by the ledger's thread only.
    ///   - subject: what the log says is lost without its store.
    ///   - statistics: may be those of several ledgers.
    ///   - random: 0 to 1, for the delays between attempts.
    ///   - settled: each ballot's answer, once; from either thread.
    ///   - happened: the tallies of a commit, before its answers; from the ledger's thread.
    init(
        settings: LedgerSettings, store: any LedgerStore, log: Log,
        subject: String = "storage for ballots", statistics: LedgerStatistics = LedgerStatistics(),
        random: @escaping @Sendable () -> Double = { .random(in: 0...1) },
        settled: @escaping @Sendable ([SettledBallot]) -> Void,
        happened: @escaping @Sendable (PollEvent) -> Void
    ) {
        self.statistics = statistics
        self.store = store
        self.log = log
        self.settled = settled
        self.happened = happened
        self.random = random
        commitLimitNanoseconds = settings.commitLimit.nanoseconds
        queue = BallotQueue(limit: settings.waitingBallots, batchLimit: settings.batchLimit)
        health = Health(of: subject, log: log, now: Clock.monotonicNanoseconds)
        batch = Batch(backoff: Backoff(base: .milliseconds(20), limit: .milliseconds(500)))
    }

    /// Once. The threads keep the ledger until it is drained.
    func start() {
        let threads = [
            Thread(name: "ledger") { self.run() },
            Thread(name: "ledger limit") { self.watch() },
        ]
        monitor.withLock { self.threads = threads }
    }

    /// From any thread; does not wait.
    /// - Returns: false where the ledger is full or draining: the ballot was not taken, and is not
    ///   answered.
    func enqueue(_ ballot: Ballot) -> Bool {
        let deadline = Clock.monotonicNanoseconds() + commitLimitNanoseconds
        if queue.enqueue(ballot, deadline: deadline) { return true }
        statistics.refused.add()
        return false
    }

    /// Whether the last attempt reached the store, and in time.
    var isHealthy: Bool { health.isHealthy }

    /// Takes no more, settles what waits, and ends both threads. Without storage that takes until the
    /// commit limit of the last ballot.
    /// - Parameter deadline: monotonic nanoseconds.
    /// - Returns: false where that was not done by `deadline`; it goes on, and may be asked again.
    func drain(until deadline: Int64) -> Bool {
        queue.close()
        monitor.lock()
        while !hasEnded {
            if !monitor.wait(until: deadline) {
                monitor.unlock()
                return false
            }
        }
        let ended = threads
        threads = []
        monitor.unlock()
        ended.forEach { $0.join() }
        return true
    }

    /// Ballots that wait, and those in commit.
    var ballotCount: Int { queue.count }

    // MARK: The ledger's thread

    private func run() {
        loop: while true {
            let probeAt = isHealthy ? nil : Clock.monotonicNanoseconds() + Self.probeNanoseconds
            switch queue.takeAll(until: probeAt) {
            case .batch(let ballots): settle(ballots)
            case .nothing: probe()
            case .closed: break loop
            }
        }
        monitor.withLock { hasEnded = true }
        monitor.signalAll()
    }

    /// Returns when the batch is empty again.
    private func settle(_ ballots: WaitingBallots) {
        var action = step { $0.append(ballots) }
        while true {
            switch action {
            case .commit(let ballots): action = attempt(ballots)
            case .retryAfter(let nanoseconds):
                Thread.sleep(until: Clock.monotonicNanoseconds() + nanoseconds)
                if queue.isClosed, giveUp() { return }
                action = step { $0.retry() }
            case .answer, .idle: return
            }
        }
    }

    private func attempt(_ ballots: [Ballot]) -> Batch.Action {
        let begin = Clock.monotonicNanoseconds()
        do throws(StoreError) {
            let settlement = try store.settle(ballots)
            statistics.commitLatencies.observe(Clock.monotonicNanoseconds() - begin)
            statistics.batchSizes.observe(Int64(ballots.count))
            // First, so that who is told that its ballot counts finds it in the tally.
            if !settlement.tallies.isEmpty { happened(.tallies(settlement.tallies)) }
            let action = step { $0.committed(settlement.outcomes) }
            health.recover()
            return action
        } catch {
            statistics.failedCommits.add()
            health.lose(reason: "\(error)")
            // Only `unavailable` promises that nothing was stored.
            let failure: Batch.Failure =
                if case .unavailable = error { .unavailable } else { .commitUnknown }
            return step { $0.failed(failure, random: random()) }
        }
    }

    private func probe() {
        do throws(StoreError) {
            _ = try store.settle([])
            health.recover()
        } catch {
            health.lose(reason: "\(error)")
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

    // MARK: Both threads

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

    // MARK: The limit's thread

    private func watch() {
        var now: Int64
        repeat {
            now = Clock.monotonicNanoseconds()
            expire(at: now)
            // Whoever comes later expires later than this, so nobody has to wake this thread.
        } while pause(until: queue.earliestDeadline ?? now + commitLimitNanoseconds)
    }

    /// Until `deadline` or that of the batch. - Returns: false when the ledger's thread has ended.
    private func pause(until deadline: Int64) -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        let deadline = min(deadline, batch.earliestDeadline ?? deadline)
        if !hasEnded { _ = monitor.wait(until: deadline) }
        return !hasEnded
    }

    /// Answers whose commit limit has passed: `overloaded` or `storageUnavailable` where nothing was
    /// attempted, else as `Batch` has it.
    func expire(at now: Int64) {
        _ = step { batch in
            let action = batch.expire(at: now)
            // Under the lock, hence before the attempt can be seen to end: a recovery comes after it.
            if action != .idle { health.lose(reason: "no commit within the limit") }
            return action
        }
        let expired = queue.removeExpired(at: now)
        if expired.isEmpty { return }
        let outcome: BallotOutcome = isHealthy ? .overloaded : .storageUnavailable
        report(
            expired.map {
                SettledBallot(ticket: $0.ticket, pollID: $0.pollID, key: $0.key, outcome: outcome)
            })
    }
}

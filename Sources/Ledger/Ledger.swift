import Polls
import Store
import Telemetry
import Threads

/// The strong room: makes ballots durable, batch by batch.
///
/// Batches form by themselves, without a timer: one thread commits all that waits, reports, and
/// takes what came meanwhile. A second thread answers ballots whose commit limit passes while the
/// first waits for the store. What they do is decided by `Settling`.
final class Ledger: @unchecked Sendable {
    private let store: any LedgerStore
    private let random: @Sendable () -> Double
    private let commitLimitNanoseconds: Int64
    private let health: Health
    private let settling: Settling
    let statistics: LedgerStatistics
    private let threads = ThreadGroup()
    private let monitor = Monitor()
    // Guarded by `monitor`: the ledger's thread has.
    private var hasEnded = false

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
        self.random = random
        commitLimitNanoseconds = settings.commitLimit.nanoseconds
        health = Health(of: subject, log: log, now: Clock.monotonicNanoseconds)
        settling = Settling(
            settings: settings, health: health, log: log, statistics: statistics, settled: settled,
            happened: happened)
    }

    /// Once. The threads keep the ledger until it is drained.
    func start() {
        threads.start(name: "ledger") { self.run() }
        threads.start(name: "ledger limit") { self.watch() }
    }

    /// From any thread; does not wait.
    /// - Returns: false where the ledger is full or draining: the ballot was not taken, and is not
    ///   answered.
    func enqueue(_ ballot: Ballot) -> Bool {
        settling.enqueue(ballot, at: Clock.monotonicNanoseconds())
    }

    /// Whether the last attempt reached the store, and in time.
    var isHealthy: Bool { health.isHealthy }

    /// How often the store was lost.
    var lossCount: UInt64 { health.lossCount }

    /// Takes no more, settles what waits, and ends both threads. Without storage that takes until the
    /// commit limit of the last ballot.
    /// - Parameter deadline: monotonic nanoseconds.
    /// - Returns: false where that was not done by `deadline`; it goes on, and may be asked again.
    func drain(until deadline: Int64) -> Bool {
        settling.close()
        return threads.join(until: deadline)
    }

    /// Ballots that wait, and those in commit.
    var ballotCount: Int { settling.count }

    // MARK: The ledger's thread

    private func run() {
        var step = settling.begin(at: Clock.monotonicNanoseconds())
        while step != .end { step = take(step) }
        monitor.withLock { hasEnded = true }
        monitor.signalAll()
    }

    /// - Returns: what is next.
    private func take(_ step: Settling.Step) -> Settling.Step {
        switch step {
        case .take(let deadline):
            let taken = settling.queue.takeAll(until: deadline)
            return settling.took(taken, at: Clock.monotonicNanoseconds())
        case .attempt(let ballots):
            let begin = Clock.monotonicNanoseconds()
            let result = settle(ballots)
            let now = Clock.monotonicNanoseconds()
            if case .success(let settlement) = result {
                statistics.commitLatencies.observe(now - begin)
                statistics.batchSizes.observe(Int64(ballots.count))
                statistics.count(settlement.tallies, at: Clock.unixMilliseconds())
            }
            return settling.attempted(result, at: now, random: random())
        case .probe:
            return settling.probed(settle(WaitingBallots()), at: Clock.monotonicNanoseconds())
        case .rest(let deadline):
            Thread.sleep(until: deadline)
            return settling.rested(at: Clock.monotonicNanoseconds())
        case .end: return .end
        }
    }

    private func settle(_ waiting: WaitingBallots) -> Result<Settlement, StoreError> {
        do throws(StoreError) {
            return .success(try store.settle(waiting.ballots, until: waiting.deadlines))
        } catch {
            return .failure(error)
        }
    }

    // MARK: The limit's thread

    private func watch() {
        var now, next: Int64
        repeat {
            now = Clock.monotonicNanoseconds()
            expire(at: now)
            // Whoever comes later expires later than this, so nobody has to wake this thread.
            // A batch is on its way from the queue to the store: its deadlines are seen in a moment.
            let patience = settling.count > 0 ? 100_000_000 : commitLimitNanoseconds
            next = settling.earliestDeadline ?? now + patience
        } while pause(until: next)
    }

    /// - Returns: false when the ledger's thread has ended.
    private func pause(until deadline: Int64) -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        if !hasEnded { _ = monitor.wait(until: deadline) }
        return !hasEnded
    }

    /// As `Settling.expire`.
    func expire(at now: Int64) { settling.expire(at: now) }
}

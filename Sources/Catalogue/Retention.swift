package import Store
package import Telemetry
import Threads

/// Takes away what is no longer needed of polls that are over: the voters' names after a while, the
/// ballots after twice as long. The tallies stay. On a thread of its own, in small steps with pauses,
/// so that ballots never wait for it.
package final class Retention: @unchecked Sendable {
    private let store: any RetentionStore
    private let age: Int64
    private let health: Health
    private let removed = Counter()
    private let blanked = Counter()
    // Guarded by `monitor`.
    private let monitor = Monitor()
    private var isStopped = false
    private var thread: Thread?

    private static let slice = 1_000
    private static let pauseNanoseconds: Int64 = 50_000_000
    /// Between two looks where nothing was left to do.
    private let restNanoseconds: Int64

    /// - Parameters:
    ///   - store: used by the thread alone.
    ///   - milliseconds: since the close of a poll.
    ///   - log: is told when the store is lost and when it is back.
    package init(store: any RetentionStore, after milliseconds: Int64, log: Log) {
        self.store = store
        age = milliseconds
        restNanoseconds = min(max(milliseconds / 8, 100), 60_000) * 1_000_000
        health = Health(of: "storage for retention", log: log, now: Clock.monotonicNanoseconds)
    }

    /// Once.
    package func start() {
        let thread = Thread(name: "retention") { self.run() }
        monitor.withLock { self.thread = thread }
    }

    /// Ends the thread after the slice that is under way.
    /// - Parameter deadline: monotonic nanoseconds.
    /// - Returns: whether it has ended; a store that does not answer may hold it for longer.
    package func stop(until deadline: Int64) -> Bool {
        let thread = monitor.withLock {
            isStopped = true
            return self.thread
        }
        monitor.signalAll()
        return thread?.join(until: deadline) ?? true
    }

    package func write(to text: inout MetricsText) {
        text.counter(
            "pollstream_retention_blanked_ballots_total",
            "Ballots whose voter was taken away.", blanked.value)
        text.counter(
            "pollstream_retention_removed_ballots_total", "Ballots that were removed.",
            removed.value)
        text.gauge(
            "pollstream_retention_storage_up", "1 while retention reaches its store.",
            health.isHealthy ? 1 : 0)
        text.counter(
            "pollstream_retention_storage_losses_total", "How often retention lost its store.",
            health.lossCount)
    }

    private func run() {
        while true {
            let nanoseconds = step() ? Self.pauseNanoseconds : restNanoseconds
            let deadline = Clock.monotonicNanoseconds() + nanoseconds
            monitor.lock()
            while !isStopped, monitor.wait(until: deadline) {}
            let isStopped = isStopped
            monitor.unlock()
            if isStopped { return }
        }
    }

    /// - Returns: whether there may be more to do.
    private func step() -> Bool {
        do throws(StoreError) {
            let blanked = try store.retain(
                .blankVoters, closedForMilliseconds: age, limit: Self.slice)
            self.blanked.add(UInt64(blanked))
            let removed = try store.retain(
                .removeBallots, closedForMilliseconds: age * 2, limit: Self.slice)
            self.removed.add(UInt64(removed))
            health.recover()
            return blanked + removed > 0
        } catch {
            health.note(error)
            return false
        }
    }
}

import Synchronization

/// Whether something that we need works. Logs when that changes, once; for any thread.
package final class Health: Sendable {
    private let subject: String
    private let log: Log
    private let now: @Sendable () -> Int64
    /// Monotonic nanoseconds; 0 while it works.
    private let lostAt = Atomic<Int64>(0)
    private let losses = Atomic<UInt64>(0)

    /// Healthy at first.
    /// - Parameters:
    ///   - subject: as the log names it.
    ///   - log: is told when that changes.
    ///   - now: monotonic nanoseconds.
    package init(of subject: String, log: Log, now: @escaping @Sendable () -> Int64) {
        self.subject = subject
        self.log = log
        self.now = now
    }

    package var isHealthy: Bool { lostAt.load(ordering: .relaxed) == 0 }

    /// How often it was lost.
    package var lossCount: UInt64 { losses.load(ordering: .relaxed) }

    /// - Parameter reason: as the dependency tells it; without secrets.
    package func lose(reason: String) {
        guard
            lostAt.compareExchange(expected: 0, desired: max(now(), 1), ordering: .relaxed)
                .exchanged
        else { return }
        losses.wrappingAdd(1, ordering: .relaxed)
        log.warning("\(subject) lost", ["reason": reason])
    }

    package func recover() {
        // Read first: it is healthy nearly always, and an exchange would take the line from others.
        guard !isHealthy else { return }
        let since = lostAt.exchange(0, ordering: .relaxed)
        guard since != 0 else { return }
        log.notice("\(subject) recovered", ["after_ms": "\((now() - since) / 1_000_000)"])
    }
}

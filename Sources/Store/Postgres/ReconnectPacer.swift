import Threads

/// Spreads the attempts of all sessions of one store to reach their server: after one has failed, or
/// broke soon after it was made, there is at most about one a second, whoever makes it.
final class ReconnectPacer: @unchecked Sendable {
    // Guarded by `monitor`: all that follow.
    private let monitor = Monitor()
    private var backoff = Backoff(base: .milliseconds(1_000), limit: .milliseconds(2_000))
    private var blockedUntil: Int64 = 0
    private var isFailing = false
    private var isTrying = false
    private var isClosed = false
    private let random: @Sendable () -> Double

    init(random: @escaping @Sendable () -> Double = { .random(in: 0...1) }) {
        self.random = random
    }

    /// Before an attempt, which `end` follows.
    func begin() throws(PostgresFailure) {
        try monitor.withLock { () throws(PostgresFailure) in
            if isClosed { throw .lost(reason: "the store is closed") }
            guard Clock.monotonicNanoseconds() >= blockedUntil, !(isFailing && isTrying) else {
                throw .lost(reason: "no connection; the next attempt is due soon")
            }
            isTrying = true
        }
    }

    func end(succeeded: Bool) {
        monitor.withLock {
            isTrying = false
            isFailing = !succeeded
            if !succeeded { block() }
        }
    }

    /// A connection broke. One that had lasted may be made again at once.
    /// - Parameter nanoseconds: how long it had.
    func noteBreak(after nanoseconds: Int64) {
        monitor.withLock {
            if nanoseconds < 1_000_000_000 {
                block()
            } else {
                backoff.reset()
            }
        }
    }

    func close() { monitor.withLock { isClosed = true } }

    private func block() {
        blockedUntil = Clock.monotonicNanoseconds() + 500_000_000 + backoff.next(random: random())
    }
}

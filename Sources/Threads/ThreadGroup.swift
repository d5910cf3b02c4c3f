/// Threads that are waited for together. Thread-safe.
package final class ThreadGroup: @unchecked Sendable {
    private let monitor = Monitor()
    // Guarded by `monitor`.
    private var threads: [Thread] = []

    package init() {}

    /// As `Thread.init`.
    package func start(name: String, _ body: @escaping @Sendable () -> Void) {
        monitor.withLock { threads.append(Thread(name: name, body)) }
    }

    /// Waits until all have ended, or `deadline`, monotonic nanoseconds; not from one of them.
    /// - Returns: whether they have; may be asked again.
    package func join(until deadline: Int64) -> Bool {
        monitor.withLock {
            threads = threads.filter { !$0.join(until: deadline) }
            return threads.isEmpty
        }
    }
}

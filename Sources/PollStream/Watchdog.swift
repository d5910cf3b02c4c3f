import Reactor
import Threads

/// Says that all is well for as long as every loop turns. Where one hangs nothing is said, and the
/// service manager ends the process and starts it anew.
final class Watchdog: @unchecked Sendable {
    private let manager: ServiceManager
    private let loops: [StatisticsReader]
    // Guarded by `monitor`.
    private let monitor = Monitor()
    private var isStopped = false
    private var thread: Thread?

    init(_ manager: ServiceManager, loops: [StatisticsReader]) {
        self.manager = manager
        self.loops = loops
    }

    /// Where the manager asks for it.
    func start() {
        guard let limit = manager.watchdogNanoseconds else { return }
        // A loop's own timer comes ten times a second: it cannot be missed by asking too often.
        let pause = max(limit / 3, 500_000_000)
        let thread = Thread(name: "watchdog") { self.run(pausing: pause) }
        monitor.withLock { self.thread = thread }
    }

    /// Before the loops are gone.
    func stop() {
        let thread = monitor.withLock {
            isStopped = true
            return self.thread
        }
        monitor.signalAll()
        thread?.join()
    }

    private func run(pausing pause: Int64) {
        var seen = turns()
        while !pauses(until: Clock.monotonicNanoseconds() + pause) {
            let now = turns()
            if zip(seen, now).allSatisfy(<) { manager.alive() }
            seen = now
        }
    }

    /// How often each loop's timer has come.
    private func turns() -> [UInt64] { loops.map { $0.read().lags.count } }

    /// - Returns: whether it is to stop.
    private func pauses(until deadline: Int64) -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        while !isStopped, monitor.wait(until: deadline) {}
        return isStopped
    }
}

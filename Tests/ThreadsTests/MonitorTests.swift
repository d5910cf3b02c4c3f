import Testing

@testable import Threads

@Suite struct MonitorTests {
    @Test func `what threads add under the lock is all there`() {
        let total = Total()
        let threads = (0..<4).map { index in
            Thread(name: "adder \(index)") { for _ in 0..<1_000 { total.add(1) } }
        }
        threads.forEach { $0.join() }
        #expect(total.value == 4_000)
    }

    @Test func `a signal wakes who waits`() {
        let total = Total()
        let thread = Thread(name: "waiter") { total.waitForMore(than: 0) }
        total.add(1)
        thread.join()
        #expect(total.value == 1)
    }

    @Test func `a wait ends at its deadline`() {
        let monitor = Monitor()
        monitor.lock()
        defer { monitor.unlock() }
        let deadline = Clock.monotonicNanoseconds() + 5_000_000
        while monitor.wait(until: deadline) {}
        #expect(Clock.monotonicNanoseconds() >= deadline)
    }

    @Test func `a deadline that has passed does not wait`() {
        let monitor = Monitor()
        monitor.lock()
        defer { monitor.unlock() }
        #expect(!monitor.wait(until: -1))
    }

    @Test func `an error passes through and unlocks`() {
        struct Failure: Error {}
        let monitor = Monitor()
        #expect(throws: Failure.self) {
            try monitor.withLock { () throws(Failure) in throw Failure() }
        }
        #expect(monitor.withLock { true })
    }
}

private final class Total: @unchecked Sendable {
    private let monitor = Monitor()
    // Guarded by `monitor`.
    private var sum = 0

    var value: Int { monitor.withLock { sum } }

    func add(_ amount: Int) {
        monitor.withLock {
            sum += amount
            monitor.signalAll()
        }
    }

    func waitForMore(than bound: Int) {
        monitor.withLock { while sum <= bound { monitor.wait() } }
    }
}

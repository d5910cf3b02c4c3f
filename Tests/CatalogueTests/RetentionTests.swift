import Store
import Telemetry
import Testing
import Threads

@testable import Catalogue

@Suite struct RetentionTests {
    @Test func `a store that is lost shows, and shows again when it is back`() {
        let store = RetainingStore()
        let retention = Retention(store: store, after: 1, log: quiet)
        func shown() -> Set<Substring> {
            var text = MetricsText()
            retention.write(to: &text)
            return Set(String(decoding: text.bytes, as: UTF8.self).split(separator: "\n"))
        }
        retention.start()
        store.waitForCalls(3)
        #expect(
            shown().isSuperset(of: [
                "pollstream_retention_storage_up 1", "pollstream_retention_storage_losses_total 0",
            ]))
        store.setDown(true)
        store.waitForCalls(3)
        #expect(
            shown().isSuperset(of: [
                "pollstream_retention_storage_up 0", "pollstream_retention_storage_losses_total 1",
            ]))
        store.setDown(false)
        store.waitForCalls(5)
        #expect(
            shown().isSuperset(of: [
                "pollstream_retention_storage_up 1", "pollstream_retention_storage_losses_total 1",
            ]))
        #expect(retention.stop(until: Clock.monotonicNanoseconds() + 60_000_000_000))
    }
}

/// Has nothing left to do, or is away.
private final class RetainingStore: RetentionStore, @unchecked Sendable {
    // Guarded by `monitor`.
    private let monitor = Monitor()
    private var isDown = false
    private var calls = 0

    func setDown(_ isDown: Bool) { monitor.withLock { self.isDown = isDown } }

    /// Returns once so many more calls have begun: all but the last of them are over, and noted.
    func waitForCalls(_ count: Int) {
        monitor.withLock {
            let last = calls + count
            while calls < last { monitor.wait() }
        }
    }

    func retain(_ step: RetentionStep, closedForMilliseconds age: Int64, limit: Int)
        throws(StoreError) -> Int
    {
        let isDown = monitor.withLock {
            calls += 1
            return self.isDown
        }
        monitor.signalAll()
        if isDown { throw .unavailable(reason: "away") }
        return 0
    }
}

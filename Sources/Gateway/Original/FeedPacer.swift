import Synchronization
import Threads

/// At most so many notices in any second, for all loops of a process: every connection hears the same.
package final class FeedPacer: @unchecked Sendable {
    private static let second: UInt64 = 1_000_000_000

    private let rate: Int
    private let monitor = Monitor()
    /// When each of the last notices was let through, oldest first. Guarded by `monitor`.
    private var taken: [UInt64] = []
    /// Before it nothing is let through: what most votes look at, and no more.
    private let opensAt = Atomic<UInt64>(0)

    /// - Parameter rate: notices a second, at least 1.
    package init(rate: Int) { self.rate = rate }

    /// - Parameter now: monotonic nanoseconds.
    package func take(at now: UInt64) -> Bool {
        guard now >= opensAt.load(ordering: .relaxed) else { return false }
        return monitor.withLock {
            if taken.count == rate {
                guard now >= taken[0] + Self.second else { return false }
                taken.removeFirst()
            }
            taken.append(now)
            if taken.count == rate {
                opensAt.store(taken[0] + Self.second, ordering: .relaxed)
            }
            return true
        }
    }

    /// The last one taken came to nothing: another may have its place.
    package func giveBack() {
        monitor.withLock {
            _ = taken.popLast()
            opensAt.store(0, ordering: .relaxed)
        }
    }
}

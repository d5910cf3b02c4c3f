import Synchronization

/// At most so many notices in any second, for all loops of a process: every connection hears the same.
package final class FeedPacer: Sendable {
    private struct Times {
        /// When each of the last notices was let through, oldest first.
        var taken: [UInt64] = []
    }

    private static let second: UInt64 = 1_000_000_000

    private let rate: Int
    private let times = Mutex(Times())
    /// Before it nothing is let through: what most votes look at, and no more.
    private let opensAt = Atomic<UInt64>(0)

    package init(rate: Int) { self.rate = rate }

    /// - Parameter now: monotonic nanoseconds.
    package func take(at now: UInt64) -> Bool {
        guard now >= opensAt.load(ordering: .relaxed) else { return false }
        return times.withLock { times in
            if times.taken.count == rate {
                guard now >= times.taken[0] + Self.second else { return false }
                times.taken.removeFirst()
            }
            times.taken.append(now)
            if times.taken.count == rate {
                opensAt.store(times.taken[0] + Self.second, ordering: .relaxed)
            }
            return true
        }
    }

    /// The last one taken came to nothing: another may have its place.
    package func giveBack() {
        times.withLock { times in
            _ = times.taken.popLast()
            opensAt.store(0, ordering: .relaxed)
        }
    }
}

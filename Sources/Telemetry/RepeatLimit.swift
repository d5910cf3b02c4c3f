/// Keeps an error that repeats from filling the log: the first is said at once, the others once per
/// interval with their number. Used by one thread, or under its owner's lock.
package struct RepeatLimit: Sendable {
    private let intervalNanoseconds: Int64
    private var saidAt: Int64?
    private var heldBack = 0

    package init(interval: Duration) {
        let (seconds, attoseconds) = interval.components
        intervalNanoseconds = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    /// - Parameter now: monotonic nanoseconds.
    /// - Returns: nil where nothing is to be said, else how many were held back since the last time.
    package mutating func admit(at now: Int64) -> Int? {
        if let saidAt, now - saidAt < intervalNanoseconds {
            heldBack += 1
            return nil
        }
        saidAt = now
        defer { heldBack = 0 }
        return heldBack
    }
}

import Threads

/// Lets so many lines of one kind through in a second, and counts the others: for what one fault may
/// make happen thousands of times. Any thread.
package final class LogPacer: @unchecked Sendable {
    private let linesPerSecond: Int
    // Guarded by `monitor`.
    private let monitor = Monitor()
    private var secondBegan = Int64.min
    private var lines = 0
    private var suppressed = 0

    package init(linesPerSecond: Int) { self.linesPerSecond = linesPerSecond }

    /// - Parameter now: monotonic nanoseconds.
    /// - Returns: nil where the line is not to be written; else how many were not since the last one
    ///   that was.
    package func take(at now: Int64) -> Int? {
        monitor.withLock {
            if secondBegan == .min || now - secondBegan >= 1_000_000_000 {
                secondBegan = now
                lines = 0
            }
            guard lines < linesPerSecond else {
                suppressed += 1
                return nil
            }
            lines += 1
            defer { suppressed = 0 }
            return suppressed
        }
    }
}

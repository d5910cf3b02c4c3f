/// How long to wait before the next attempt: doubles from `base` to `limit`, and is spread, so that
/// those who lost the same server do not come back in step.
package struct Backoff: Sendable, Equatable {
    private let baseNanoseconds: Int64
    private let limitNanoseconds: Int64
    private var nextNanoseconds: Int64

    package init(base: Duration, limit: Duration) {
        baseNanoseconds = base.nanoseconds
        limitNanoseconds = limit.nanoseconds
        nextNanoseconds = baseNanoseconds
    }

    /// - Parameter random: 0 to 1; 0 gives half of the delay, 1 the whole.
    package mutating func next(random: Double) -> Int64 {
        let whole = min(nextNanoseconds, limitNanoseconds)
        nextNanoseconds = min(whole * 2, limitNanoseconds)
        return whole / 2 + Int64(Double(whole / 2) * random)
    }

    package mutating func reset() { nextNanoseconds = baseNanoseconds }
}

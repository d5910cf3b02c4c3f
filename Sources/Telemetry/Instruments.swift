import Synchronization

/// A total since the start. Any thread adds and reads; a reader may be a little behind.
package final class Counter: Sendable {
    private let count = Atomic<UInt64>(0)

    package init() {}

    package var value: UInt64 { count.load(ordering: .relaxed) }

    package func add(_ amount: UInt64 = 1) { count.wrappingAdd(amount, ordering: .relaxed) }
}

/// A counter per value of one label. The label is an enum, so their number is known.
package final class CounterFamily<Label>: Sendable
where Label: CaseIterable & RawRepresentable<String> & Hashable & Sendable {
    private let counters: [Label: Counter]

    package init() {
        counters = Dictionary(uniqueKeysWithValues: Label.allCases.map { ($0, Counter()) })
    }

    package subscript(label: Label) -> Counter { counters[label]! }
}

/// How often a value fell between fixed bounds. Values are integers in the unit of the measurement;
/// `MetricsText` turns them into the base unit. Any thread observes and reads.
package final class Histogram: Sendable {
    /// Ascending; a value belongs to the first bound that it does not exceed.
    let bounds: [Int64]
    // One more than bounds: what is above them all.
    private let buckets: [Counter]
    private let total = Atomic<Int64>(0)

    package init(bounds: [Int64]) {
        precondition(zip(bounds, bounds.dropFirst()).allSatisfy(<), "bounds ascend")
        self.bounds = bounds
        buckets = (0...bounds.count).map { _ in Counter() }
    }

    package func observe(_ value: Int64) {
        buckets[bounds.firstIndex { value <= $0 } ?? bounds.count].add()
        total.wrappingAdd(value, ordering: .relaxed)
    }

    /// Per bucket, not cumulative; the last is above all bounds.
    package var counts: [UInt64] { buckets.map(\.value) }
    package var sum: Int64 { total.load(ordering: .relaxed) }

    /// From 50 µs to 10 s, for nanoseconds: a turn of a loop, and twice the commit limit.
    package static let latencyBounds: [Int64] = [
        50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000,
        50_000_000, 100_000_000, 250_000_000, 500_000_000, 1_000_000_000, 2_500_000_000,
        5_000_000_000, 10_000_000_000,
    ]
}

import Histogram

/// Latencies of one run, in nanoseconds, three significant digits from 1 ns up.
struct Distribution {
    private var histogram = Histogram<UInt64>(numberOfSignificantValueDigits: .three)

    var count: UInt64 { histogram.totalCount }

    mutating func record(_ nanoseconds: UInt64) {
        histogram.record(nanoseconds)
    }

    mutating func record(_ nanoseconds: UInt64, count: UInt64) {
        histogram.record(nanoseconds, count: count)
    }

    mutating func record(_ nanoseconds: UnsafeBufferPointer<UInt64>) {
        for value in nanoseconds {
            histogram.record(value)
        }
    }

    /// Adds what another run measured: the percentiles are then those of both together, which no
    /// mean of percentiles is.
    mutating func merge(_ other: Distribution) {
        histogram.add(other.histogram)
    }

    /// What was recorded, for another process to merge: value and count in turn.
    var encoded: [UInt64] { histogram.recordedValues().flatMap { [$0.value, $0.count] } }

    mutating func merge(encoded: [UInt64]) {
        for index in stride(from: 0, to: encoded.count - 1, by: 2) {
            record(encoded[index], count: encoded[index + 1])
        }
    }

    /// Nil when nothing was recorded: a percentile of nothing is not zero.
    var summary: Summary? {
        guard count > 0 else { return nil }
        return Summary(
            count: count,
            p50Milliseconds: milliseconds(histogram.valueAtPercentile(50)),
            p90Milliseconds: milliseconds(histogram.valueAtPercentile(90)),
            p99Milliseconds: milliseconds(histogram.valueAtPercentile(99)),
            p999Milliseconds: milliseconds(histogram.valueAtPercentile(99.9)),
            maxMilliseconds: milliseconds(histogram.max))
    }

    /// For a plot: a point at each percentile that the number of values can tell.
    struct Curve: Encodable {
        struct Point: Encodable {
            let percentile: Double
            let milliseconds: Double
        }

        let name: String
        let points: [Point]
    }

    func curve(_ name: String) -> Curve {
        let percentiles =
            stride(from: 0, through: 95, by: 5).map(Double.init)
            + [97, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99]
        let told = percentiles.filter { (1 - $0 / 100) * Double(count) >= 1 }
        return Curve(
            name: name,
            points: told.map {
                .init(
                    percentile: $0,
                    milliseconds: milliseconds(histogram.valueAtPercentile($0)))
            })
    }

    struct Summary: Encodable, Equatable {
        let count: UInt64
        let p50Milliseconds: Double
        let p90Milliseconds: Double
        let p99Milliseconds: Double
        let p999Milliseconds: Double
        let maxMilliseconds: Double

        /// As rows of a run's table.
        func figures(of name: String) -> [Figure] {
            [
                Figure("\(name) p50", p50Milliseconds, "ms"),
                Figure("\(name) p90", p90Milliseconds, "ms"),
                Figure("\(name) p99", p99Milliseconds, "ms"),
                Figure("\(name) p99.9", p999Milliseconds, "ms"),
                Figure("\(name) max", maxMilliseconds, "ms"),
            ]
        }
    }
}

private func milliseconds(_ nanoseconds: UInt64) -> Double {
    Double(nanoseconds) / 1e6
}

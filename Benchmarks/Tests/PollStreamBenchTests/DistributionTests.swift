import Testing

@testable import PollStreamBench

struct DistributionTests {
    /// As the histogram keeps it: three significant digits.
    private func isNear(_ value: Double, _ expected: Double) -> Bool {
        abs(value - expected) <= expected / 500
    }

    @Test func `merging is recording into one`() throws {
        var low = Distribution()
        var high = Distribution()
        var both = Distribution()
        for value in 1...900 as ClosedRange<UInt64> {
            low.record(value * 1000)
            both.record(value * 1000)
        }
        // A hundredfold wider: the merged one has to grow.
        for value in 901...1000 as ClosedRange<UInt64> {
            high.record(value * 1_000_000)
            both.record(value * 1_000_000)
        }
        low.merge(high)
        #expect(low.summary == both.summary)
        let summary = try #require(low.summary)
        #expect(summary.count == 1000)
        #expect(isNear(summary.p50Milliseconds, 0.5))
        #expect(isNear(summary.p90Milliseconds, 0.9))
        #expect(isNear(summary.p99Milliseconds, 990))
        #expect(isNear(summary.maxMilliseconds, 1000))
    }

    @Test func `nothing has no percentiles`() {
        #expect(Distribution().summary == nil)
    }
}

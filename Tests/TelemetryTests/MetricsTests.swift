import Testing
import Threads

@testable import Telemetry

@Suite struct MetricsTests {
    private enum Outcome: String, CaseIterable { case counted, repeated }

    private func text(_ write: (inout MetricsText) -> Void) -> String {
        var text = MetricsText()
        write(&text)
        return String(decoding: text.bytes, as: UTF8.self)
    }

    @Test func `a counter has its help and its type`() {
        let text = text { $0.counter("pollstream_ballots_total", "Ballots.", 7) }
        #expect(
            text == """
                # HELP pollstream_ballots_total Ballots.
                # TYPE pollstream_ballots_total counter
                pollstream_ballots_total 7

                """)
    }

    @Test func `a family shows each label, also those at zero`() {
        let family = CounterFamily<Outcome>()
        family[.counted].add(3)
        let text = text { $0.counter("x_total", "X.", by: "outcome", family) }
        #expect(text.contains("x_total{outcome=\"counted\"} 3\n"))
        #expect(text.contains("x_total{outcome=\"repeated\"} 0\n"))
    }

    @Test func `buckets are cumulative and in seconds`() {
        let histogram = Histogram(bounds: [1_000_000, 500_000_000])
        for value: Int64 in [0, 1_000_000, 1_000_001, 500_000_000, 2_000_000_000] {
            histogram.observe(value)
        }
        let text = text { $0.histogram("x_seconds", "X.", histogram, unitsPerBase: 1e9) }
        #expect(
            text == """
                # HELP x_seconds X.
                # TYPE x_seconds histogram
                x_seconds_bucket{le="0.001"} 2
                x_seconds_bucket{le="0.5"} 4
                x_seconds_bucket{le="+Inf"} 5
                x_seconds_sum 2.502000001
                x_seconds_count 5

                """)
    }

    @Test func `help and labels are escaped`() {
        let text = text { $0.gauge("x", "a\\b\n\"c\"", by: "l", [("q\"\\\n", 1)]) }
        #expect(text.contains("# HELP x a\\\\b\\n\"c\"\n"))
        #expect(text.contains("x{l=\"q\\\"\\\\\\n\"} 1\n"))
    }

    @Test func `gauges keep their fraction only where there is one`() {
        #expect(text { $0.gauge("x", "X.", 12) }.hasSuffix("\nx 12\n"))
        #expect(text { $0.gauge("x", "X.", 0.25) }.hasSuffix("\nx 0.25\n"))
    }

    @Test func `what threads count is all there`() {
        let counter = Counter()
        let histogram = Histogram(bounds: [10])
        let threads = (0..<4).map { _ in
            Thread(name: "counter") {
                for value in 0..<1_000 {
                    counter.add()
                    histogram.observe(Int64(value % 20))
                }
            }
        }
        threads.forEach { $0.join() }
        #expect(counter.value == 4_000)
        #expect(histogram.counts == [2_200, 1_800])
        #expect(histogram.sum == 4 * 50 * 190)
    }

    @Test func `parts are rendered in their order`() {
        let metrics = Metrics([
            { $0.gauge("b", "B.", 1) }, { $0.info("a_info", "A.", [("version", "1.0")]) },
        ])
        let text = String(decoding: metrics.render(), as: UTF8.self)
        #expect(
            text.split(separator: "\n").filter { !$0.hasPrefix("#") }
                == ["b 1", "a_info{version=\"1.0\"} 1"])
    }

    @Test func `the process has memory, descriptors and a start`() throws {
        let text = text { ProcessMetrics(startedAt: 1_790_000_000_500).write(to: &$0) }
        #expect(text.contains("process_start_time_seconds 1790000000.5\n"))
        let names = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
            .compactMap { $0.split(separator: " ").first }
        #expect(
            names == [
                "process_start_time_seconds", "process_cpu_seconds_total", "process_open_fds",
                "process_max_fds", "process_resident_memory_bytes",
            ])
        #expect(try #require(ProcessMetrics.openDescriptors()) >= 3)
        #expect(try #require(ProcessMetrics.countedDescriptors()) >= 3)
        #expect(try #require(ProcessMetrics.residentBytes()) > 1 << 20)
    }
}

import Testing

@testable import PollStreamBench

struct ReportTests {
    private func run(_ server: String, _ cost: Double, received: UInt64 = 10) -> Run {
        var run = Run(server: server, load: "10 subscribers")
        run.add("cost", cost, "µs")
        run.expected = 10
        run.received = received
        return run
    }

    @Test func `runs are paired in the order they were made, whoever began`() throws {
        var report = Report(scenario: "test", placement: "nowhere")
        for run in [run("gateway", 3), run("limit", 2), run("limit", 4), run("gateway", 4)] {
            report.add(run)
        }
        report.add(run("gateway", 9))  // its partner is missing
        report.addRatio(of: "cost", load: "10 subscribers")
        let ratio = try #require(report.ratios.first)
        #expect(ratio.pairs == [1.5, 1])
        #expect(ratio.median == 1.25)
    }

    @Test func `a missing delivery is a problem`() {
        var report = Report(scenario: "test", placement: "nowhere")
        report.add(run("gateway", 1))
        #expect(report.problems.isEmpty)
        report.add(run("gateway", 1, received: 9))
        #expect(report.problems.count == 1)
    }

    @Test func `an HTML report holds its plots and its figures, and nothing of it is markup`() {
        var report = Report(scenario: "<test>", placement: "a & b")
        var slow = run("gateway", 3)
        var latencies = Distribution()
        for value in 1...10_000 { latencies.record(UInt64(value) * 1000) }
        slow.add("vote to screen", latencies)
        slow.series = [
            Series(
                name: "CPU", unit: "%",
                points: [.init(seconds: 0, value: 5), .init(seconds: 1, value: 50)])
        ]
        report.add(slow)
        let html = report.html
        #expect(html.contains("vote to screen, by percentile, ms"))
        #expect(html.contains("CPU, over time, %"))
        #expect(html.components(separatedBy: "<polyline").count == 3)
        #expect(
            !html.contains("<test>") && html.contains("&lt;test&gt;") && html.contains("a &amp; b"))
        #expect(!html.contains("http"), "nothing comes from elsewhere")
        // A percentile that too few values tell is not drawn.
        #expect(slow.curves[0].points.last?.percentile == 99.99)
        var few = Distribution()
        few.record(1000)
        #expect(few.curve("few").points.allSatisfy { $0.percentile == 0 })
    }

    @Test(arguments: [
        ("http://127.0.0.1:8080", "127.0.0.1:8080"), ("127.0.0.1:80", "127.0.0.1:80"),
        ("http://10.1.2.3:65535/", "10.1.2.3:65535"),
    ])
    func `an endpoint is an address and a port`(text: String, host: String) {
        #expect(Endpoint(argument: text)?.host == host)
    }

    @Test(arguments: ["", "localhost:80", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "1.2.3:4"])
    func `anything else is none`(text: String) {
        #expect(Endpoint(argument: text) == nil)
    }

    @Test(arguments: [(40, 80), (127, 127), (128, 130), (129, 130), (130, 130), (200, 200)])
    func `the limit is asked only for frames that exist`(bytes: Int, asked: Int) {
        let sizes = Session.FrameSizes(tally: bytes, snapshot: bytes)
        #expect(sizes.representable.tally == asked)
    }
}

import ArgumentParser
import CLoad
import Glibc

/// One change to all subscribers, the next when all have it: what does a delivery cost the server?
struct Fanout: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "One change to all subscribers of a poll, the next when all have it.")

    @OptionGroup var shared: SharedOptions
    @OptionGroup var comparison: ComparisonOptions

    @Option(parsing: .upToNextOption, help: "Subscribers; several numbers are measured in turn.")
    var subscribers = [5000]

    @Option(help: "Measured changes (default: enough for 500,000 deliveries, at least 50).")
    var rounds: Int?

    @Option(help: "Changes before the measured ones.")
    var warmup = 10

    @Option(help: "Options of the poll: they decide how long a tally is.")
    var options = 20

    @Option(
        help: "The --tick of a gateway that is started: above a sweep's time it would be the wait.")
    var tick = "1ms"

    @Option(help: "Quiet seconds after opening, so that `viewers` messages have passed.")
    var settle: Double?

    func validate() throws {
        guard (2...20).contains(options) else { throw ValidationError("--options must be 2 to 20") }
        guard warmup >= 0, rounds ?? 1 > 0, subscribers.allSatisfy({ $0 > 0 }) else {
            throw ValidationError("--subscribers and --rounds must be above 0, --warmup not below")
        }
        for count in subscribers {
            try Session.checkDescriptors(for: count)
        }
    }

    func run() throws {
        try Session.run("fanout", shared, isSharingCore: true) { session in
            session.report.notes.append(Self.explanation)
            for count in subscribers {
                defer { addRatios(to: &session.report, load: load(count)) }
                try session.measure(comparison, gatewayArguments: ["--tick", tick]) { server in
                    try measure(server, count, session)
                }
            }
        }
    }

    private static let cost = "server CPU per delivery, net"
    private static let rawCost = "server CPU per delivery, raw"
    private static let explanation = """
        raw: all CPU of the server process during the rounds, divided by deliveries. It holds one \
        vote over HTTP and its commit per round.
        net: the same less the CPU of as many votes, made right after, for a poll that nobody \
        watches. For the limit server that is a bare request and answer.
        """

    private func load(_ count: Int) -> String { "\(count) subscribers" }

    private func addRatios(to report: inout Report, load: String) {
        guard comparison.against != nil else { return }
        report.addRatio(of: Self.cost, load: load, target: "at most 1.08")
        report.addRatio(of: Self.rawCost, load: load)
    }

    private func measure(_ server: Server, _ count: Int, _ session: Session) throws -> (
        Run, Session.FrameSizes
    ) {
        let api = GatewayAPI(endpoint: server.endpoint)
        let watched = try api.createPoll(title: "Fan-out", optionCount: options)
        let unwatched = try api.createPoll(title: "Unwatched", optionCount: options)
        let subscribers = try Subscribers(
            of: server.endpoint, sources: shared.sources, path: "/ws/polls/\(watched.id)/",
            count: count)
        session.progress.show("\(server.name): opening \(count) subscribers")
        var ignored = Distribution()
        let (opening, failure) = subscribers.open(concurrency: 256, latencies: &ignored)
        if let failure { throw failure }
        let isLimit = server.name == ServerKind.sendLimit.rawValue
        try subscribers.rest(seconds: settle ?? (isLimit ? 0.5 : 6))

        var votes = Votes(api: api, count: 0)
        let warm = changes(
            warmup, of: watched, awaitsFrames: true, subscribers, &votes, server, session)
        if let failure = warm.failure { throw failure }
        let rounds = rounds ?? max(50, 500_000 / count)
        let measured = changes(
            rounds, of: watched, awaitsFrames: true, subscribers, &votes, server, session)
        // After a failure nothing is comparable; what was delivered is still told.
        let unwatchedCost = changes(
            measured.failure == nil ? measured.rounds : 0, of: unwatched, awaitsFrames: false,
            subscribers, &votes, server, session)
        for failure in [measured.failure, unwatchedCost.failure] {
            if let failure { session.report.problems.append("\(failure)") }
        }

        let sizes = Session.FrameSizes(
            tally: Int((measured.frameBytes / max(1, Double(measured.frames))).rounded()),
            snapshot: Int(opening.snapshot_bytes))
        return (run(server, count, measured, unwatchedCost, sizes), sizes)
    }

    private func run(
        _ server: Server, _ count: Int, _ measured: Changes, _ unwatched: Changes,
        _ sizes: Session.FrameSizes
    ) -> Run {
        var run = Run(server: server.name, load: load(count))
        run.expected = UInt64(measured.rounds * count)
        run.received = measured.delivered
        let deliveries = Double(max(1, measured.delivered))
        if let cpu = measured.serverSeconds, let voteCPU = unwatched.serverSeconds,
            unwatched.rounds == measured.rounds
        {
            run.add(Self.cost, (cpu - voteCPU) / deliveries * 1e6, "µs")
            run.add(Self.rawCost, cpu / deliveries * 1e6, "µs")
            run.add(
                "server CPU per unwatched vote", voteCPU / Double(max(1, unwatched.rounds)) * 1e6,
                "µs")
        }
        run.add("client CPU per delivery", measured.clientSeconds / deliveries * 1e6, "µs")
        run.add("deliveries per second", deliveries / measured.wallSeconds, "1/s")
        run.add("until the last has it", measured.last)
        run.series.append(measured.overTime)
        run.add("until each has it", measured.each)
        run.add("bytes per tally frame", Double(sizes.tally), "B")
        run.add("other messages meanwhile", Double(measured.others), "")
        return run
    }

    // MARK: rounds

    private struct Votes {
        let api: GatewayAPI
        var count: Int

        /// Every vote is another voter's.
        mutating func next(for poll: GatewayAPI.Poll) -> String {
            count += 1
            return api.voteRequest(poll: poll, option: count, voter: "v\(count)")
        }
    }

    /// What some rounds did.
    private struct Changes {
        var rounds = 0
        var delivered: UInt64 = 0
        var frames: UInt64 = 0
        var frameBytes = 0.0
        var others: UInt64 = 0
        var last = Distribution()
        var each = Distribution()
        var overTime = Series(name: "until the last has it", unit: "ms")
        var serverSeconds: Double?
        var clientSeconds = 0.0
        var wallSeconds = 0.0
        var failure: Failure?
    }

    /// Makes `count` changes. Ends early, with what there is, on Ctrl-C and on a failure.
    private func changes(
        _ count: Int, of poll: GatewayAPI.Poll, awaitsFrames: Bool,
        _ subscribers: borrowing Subscribers, _ votes: inout Votes, _ server: Server,
        _ session: Session
    ) -> Changes {
        var done = Changes()
        let serverBefore = server.cpuSeconds
        let clientBefore = ld_process_cpu_ns(getpid())
        let begun = ld_now_ns()
        while done.rounds < count, !ld_interrupted() {
            session.progress.show(
                "\(server.name): \(subscribers.count) subscribers, change \(done.rounds) of \(count)"
            )
            let (round, failure) = subscribers.round(
                votes.next(for: poll), awaitsFrames: awaitsFrames, latencies: &done.each)
            if case .interrupted = failure { break }
            done.rounds += 1
            done.delivered += UInt64(round.reached_count - round.mismatch_count)
            done.frames += round.frame_count
            done.frameBytes += Double(round.frame_bytes)
            done.others += round.other_count
            if round.last_ns > 0 {
                done.last.record(round.last_ns - round.started_ns)
                done.overTime.points.append(
                    .init(
                        seconds: Double(round.started_ns - begun) / 1e9,
                        value: Double(round.last_ns - round.started_ns) / 1e6))
            }
            done.failure = failure
            if failure != nil { break }
        }
        done.wallSeconds = Double(ld_now_ns() - begun) / 1e9
        done.clientSeconds = Double(ld_process_cpu_ns(getpid()) - clientBefore) / 1e9
        if let before = serverBefore, let after = server.cpuSeconds {
            done.serverSeconds = after - before
        }
        return done
    }
}

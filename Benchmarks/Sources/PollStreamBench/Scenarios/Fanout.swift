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

    @Option(
        help: ArgumentHelp(
            "Another's server to measure beside, repeatable; Benchmarks/peers has some.",
            valueName: "file"))
    var peer: [String] = []

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
            let peers = try peer.map(Peer.init)
            for count in subscribers {
                defer { addRatios(to: &session.report, load: Rounds.load(count)) }
                try session.measure(
                    comparison, gatewayArguments: ["--tick", tick], peers: peers,
                    { server in try measure(server, count, session) },
                    peer: { server, peer, sizes in
                        try PeerLoad(
                            subscribers: count, rounds: rounds, warmup: warmup,
                            settle: settle ?? 1, frameBytes: sizes.tally
                        ).measure(server, peer, session)
                    })
            }
        }
    }

    private static let cost = "server CPU per delivery, net"
    private static let explanation = """
        raw: all CPU of the server process during the rounds, divided by deliveries. It holds one \
        vote over HTTP and its commit per round.
        net: the same less the CPU of as many votes, made right after, for a poll that nobody \
        watches. For the limit server that is a bare request and answer.
        """

    private func addRatios(to report: inout Report, load: String) {
        guard comparison.against != nil else { return }
        report.addRatio(of: Self.cost, load: load, target: "at most 1.08")
        report.addRatio(of: Rounds.cost, load: load)
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
        func changes(_ rounds: Int, of poll: GatewayAPI.Poll, awaitsFrames: Bool) -> Rounds {
            Rounds(rounds, of: count, on: server, session) { latencies in
                subscribers.round(
                    votes.next(for: poll), awaitsFrames: awaitsFrames, latencies: &latencies)
            }
        }
        let warm = changes(warmup, of: watched, awaitsFrames: true)
        if let failure = warm.failure { throw failure }
        let measured = changes(
            Rounds.count(rounds, subscribers: count), of: watched, awaitsFrames: true)
        // After a failure nothing is comparable; what was delivered is still told.
        let unwatchedCost = changes(
            measured.failure == nil ? measured.made : 0, of: unwatched, awaitsFrames: false)
        for failure in [measured.failure, unwatchedCost.failure] {
            if let failure { session.report.problems.append("\(failure)") }
        }

        let sizes = Session.FrameSizes(
            tally: Int((measured.frameBytes / max(1, Double(measured.frames))).rounded()),
            snapshot: Int(opening.snapshot_bytes))
        return (run(server, count, measured, unwatchedCost, sizes), sizes)
    }

    private func run(
        _ server: Server, _ count: Int, _ measured: Rounds, _ unwatched: Rounds,
        _ sizes: Session.FrameSizes
    ) -> Run {
        var run = Run(server: server.name, load: Rounds.load(count))
        if let cpu = measured.serverSeconds, let voteCPU = unwatched.serverSeconds,
            unwatched.made == measured.made
        {
            run.add(Self.cost, (cpu - voteCPU) / measured.deliveries * 1e6, "µs")
            run.add(
                "server CPU per unwatched vote", voteCPU / Double(max(1, unwatched.made)) * 1e6,
                "µs")
        }
        measured.add(to: &run, subscribers: count)
        run.add("bytes per tally frame", Double(sizes.tally), "B")
        run.add("other messages meanwhile", Double(measured.others), "")
        return run
    }

    private struct Votes {
        let api: GatewayAPI
        var count: Int

        /// Every vote is another voter's.
        mutating func next(for poll: GatewayAPI.Poll) -> String {
            count += 1
            return api.voteRequest(poll: poll, option: count, voter: "v\(count)")
        }
    }
}

import ArgumentParser
import CLoad
import Glibc

/// How fast do sockets come up, and what does one cost the server, from accept to snapshot?
struct Connect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Accept, upgrade, subscribe and snapshot of many sockets.")

    @OptionGroup var shared: SharedOptions
    @OptionGroup var comparison: ComparisonOptions

    @Option(help: "Sockets to open.")
    var sockets = 15_000

    @Option(help: "Sockets on their way at a time.")
    var concurrency = 256

    @Option(help: "Options of the poll: they decide how long a snapshot is.")
    var options = 4

    func validate() throws {
        guard sockets > 0, concurrency > 0 else {
            throw ValidationError("--sockets and --concurrency must be above 0")
        }
        guard (2...20).contains(options) else { throw ValidationError("--options must be 2 to 20") }
        try Session.checkDescriptors(for: sockets)
    }

    func run() throws {
        try Session.run("connect", shared, isSharingCore: true) { session in
            defer {
                if comparison.against != nil {
                    session.report.addRatio(of: Self.cost, load: load, target: "at most 2")
                    session.report.addRatio(of: Self.rate, load: load)
                }
            }
            try session.measure(comparison) { try measure($0, session) }
        }
    }

    private static let cost = "server CPU per socket"
    private static let rate = "sockets per second"

    private var load: String { "\(sockets) sockets, \(concurrency) at a time" }

    private func measure(_ server: Server, _ session: Session) throws -> (Run, Session.FrameSizes) {
        let api = GatewayAPI(endpoint: server.endpoint)
        let poll = try api.createPoll(title: "Connect", optionCount: options)
        let path = "/ws/polls/\(poll.id)/"
        try warmUp(server, path)
        let subscribers = try Subscribers(
            of: server.endpoint, sources: shared.sources, path: path, count: sockets)

        session.progress.show("\(server.name): opening \(sockets) sockets")
        var latencies = Distribution()
        let serverBefore = server.cpuSeconds
        let clientBefore = ld_process_cpu_ns(getpid())
        let (opening, failure) = subscribers.open(concurrency: concurrency, latencies: &latencies)
        let clientNanoseconds = ld_process_cpu_ns(getpid()) - clientBefore
        let serverAfter = server.cpuSeconds
        if let failure, !ld_interrupted() {
            session.report.problems.append("\(failure)")
        }

        var run = Run(server: server.name, load: load)
        run.expected = UInt64(ld_interrupted() ? Int(opening.ready_count) : sockets)
        run.received = UInt64(opening.ready_count)
        let ready = Double(max(1, opening.ready_count))
        let seconds = Double(opening.finished_ns - opening.started_ns) / 1e9
        run.add(Self.rate, ready / seconds, "1/s")
        if let before = serverBefore, let after = serverAfter {
            run.add(Self.cost, (after - before) / ready * 1e6, "µs")
        }
        run.add("client CPU per socket", Double(clientNanoseconds) / 1e3 / ready, "µs")
        run.add("connect() to snapshot", latencies)
        run.add("bytes per snapshot frame", Double(opening.snapshot_bytes), "B")
        return (
            run,
            Session.FrameSizes(
                tally: comparison.frameBytes, snapshot: Int(opening.snapshot_bytes))
        )
    }

    /// A few sockets, closed again: first-time costs of both processes are not a socket's cost.
    private func warmUp(_ server: Server, _ path: String) throws {
        var ignored = Distribution()
        let few = try Subscribers(
            of: server.endpoint, sources: shared.sources, path: path, count: min(500, sockets))
        let (_, failure) = few.open(concurrency: concurrency, latencies: &ignored)
        if let failure { throw failure }
    }
}

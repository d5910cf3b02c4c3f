import ArgumentParser
import CLoad
import Glibc

/// How many ballots a second are counted and durable, and how long does an answer take?
struct Votes: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Votes end to end: as fast as answers come, or at a scheduled rate.")

    enum Transport: String, ExpressibleByArgument {
        case websocket, http
    }

    @OptionGroup var shared: SharedOptions

    @Option(help: "websocket, or http: keep-alive and pipelined.")
    var over = Transport.websocket

    @Option(help: "Connections.")
    var connections = 64

    @Option(help: "Votes in flight on each (default: 256, or 16 over http).")
    var inFlight: Int?

    @Option(help: "Votes per second, scheduled whatever the server does; 0: a closed loop.")
    var rate = 0

    @Option(help: "Measured seconds.")
    var seconds = 10.0

    @Option(help: "Seconds before the measured ones.")
    var warmup = 2.0

    @Option(help: "Options of the poll.")
    var options = 4

    func validate() throws {
        guard connections > 0, (1...4096).contains(inFlight ?? 1) else {
            throw ValidationError("--connections must be above 0, --in-flight 1 to 4096")
        }
        guard rate >= 0, seconds > 0, warmup >= 0, (2...20).contains(options) else {
            throw ValidationError("--rate and --warmup must not be below 0, --options 2 to 20")
        }
        try Session.checkDescriptors(for: connections)
    }

    func run() throws {
        try Session.run("votes", shared, isSharingCore: false) { session in
            let server = try session.startGateway()
            defer { session.stop(server) }
            let api = GatewayAPI(endpoint: server.endpoint)
            let poll = try api.createPoll(title: "Votes", optionCount: options)
            let (run, counted) = try measure(server, poll, session)
            session.report.add(run)
            if ld_interrupted() { throw Failure.interrupted }
            let total = try api.total(of: poll)
            if total != counted {
                session.report.problems.append(
                    "\(counted) votes were answered `counted`, the results say \(total)")
            }
        }
    }

    private var load: String {
        let loop = rate == 0 ? "closed loop" : "\(rate) votes/s"
        return "\(connections) × \(places) over \(over.rawValue), \(loop)"
    }

    private var places: Int { inFlight ?? (over == .http ? 16 : 256) }

    private func measure(
        _ server: Server, _ poll: GatewayAPI.Poll, _ session: Session
    ) throws -> (Run, counted: UInt64) {
        let voters = try Voters(
            of: server.endpoint, sources: shared.sources,
            plan: Voters.Plan(
                connections: connections, inFlight: places, overHTTP: over == .http, polls: [poll]))
        voters.start(votesPerSecond: rate)
        var ignored = Distribution()
        cast(voters, seconds: warmup, "warming up", &ignored, session)

        var latencies = Distribution()
        let before = voters.counts
        let serverBefore = server.cpuSeconds
        let clientBefore = ld_process_cpu_ns(getpid())
        let begun = ld_now_ns()
        cast(voters, seconds: seconds, "casting", &latencies, session)
        let elapsed = Double(ld_now_ns() - begun) / 1e9
        let clientSeconds = Double(ld_process_cpu_ns(getpid()) - clientBefore) / 1e9
        let serverAfter = server.cpuSeconds
        let after = voters.counts
        let measured = Double(max(1, after.answer_count - before.answer_count))

        // What is in flight belongs to the measured time too: a stall at its end must show.
        session.progress.show("waiting for the last answers")
        noting(in: session) { try voters.finish(seconds: 10, latencies: &latencies) }
        let last = voters.counts

        var run = Run(server: server.name, load: load)
        run.expected = last.cast_count
        run.received = last.answer_count
        run.add("votes answered per second", measured / elapsed, "1/s")
        if let from = serverBefore, let to = serverAfter {
            run.add("server CPU per vote", (to - from) / measured * 1e6, "µs")
            run.add("server CPU", (to - from) / elapsed * 100, "%")
        }
        run.add("client CPU per vote", clientSeconds / measured * 1e6, "µs")
        run.add(rate == 0 ? "cast to answer" : "intended time to answer", latencies)
        if rate > 0 {
            run.add("due but never cast", Double(last.due_count - last.cast_count), "")
        }
        let outcomes = voters.outcomes
        for outcome in outcomes {
            run.add("answered \(outcome.name), warm-up too", Double(outcome.count), "")
        }
        check(last, outcomes.map(\.name), session)
        let counted = outcomes.first { $0.name == "counted" }?.count ?? 0
        return (run, counted)
    }

    private func check(_ counts: ld_vote_counts, _ outcomes: [String], _ session: Session) {
        if counts.stray_count > 0 {
            session.report.problems.append("\(counts.stray_count) messages answered no vote")
        }
        if counts.lost_count > 0 {
            session.report.problems.append("\(counts.lost_count) connections were lost")
        }
        let uncastCount = counts.due_count - counts.cast_count
        if uncastCount * 100 > counts.due_count {
            session.report.problems.append(
                "the rate was not reached: \(uncastCount) votes were due and found no place; "
                    + "the percentiles are without them")
        }
        let others = outcomes.filter { $0 != "counted" }
        if !others.isEmpty {
            session.report.problems.append(
                "not every vote was counted: also \(others.joined(separator: ", "))")
        }
    }

    /// Runs in short pieces, for the progress line.
    private func cast(
        _ voters: borrowing Voters, seconds: Double, _ what: String,
        _ latencies: inout Distribution, _ session: Session
    ) {
        let until = ld_now_ns() + nanoseconds(seconds)
        noting(in: session) {
            while true {
                let now = ld_now_ns()
                guard now < until else { break }
                let counts = voters.counts
                session.progress.show(
                    "\(what): \(counts.cast_count) cast, \(counts.answer_count) answered")
                try voters.run(
                    seconds: min(Double(until - now) / 1e9, 0.25), latencies: &latencies)
            }
        }
    }

    /// A failure becomes a problem of the report, so that what was measured until then is told.
    private func noting(in session: Session, _ body: () throws -> Void) {
        do {
            try body()
        } catch Failure.interrupted {
            // The caller looks for it at the end.
        } catch {
            session.report.problems.append("\(error)")
        }
    }
}

import ArgumentParser
import CLoad
import Glibc

/// One poll, many gateways, more viewers than one process can hold: does a delivery cost more?
struct Cluster: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Fan-out of many gateways over Redis, next to that of one.",
        discussion: """
            --database postgres://… and --redis say what the gateways share; deploy/cluster shows \
            how to start both.
            """)

    @OptionGroup var shared: SharedOptions

    @Option(help: "What the gateways tell each other through.")
    var redis: String

    @Option(help: "Gateways.")
    var gateways = 4

    @Option(help: "Viewers in all, evenly on the gateways.")
    var subscribers = 60_000

    @Option(help: "Processes of viewers, evenly on the gateways.")
    var processes = 4

    @Option(help: "Viewers of the one gateway that is measured beside.")
    var alone = 5000

    @Option(help: "Measured changes.")
    var rounds = 30

    @Option(help: "Changes before the measured ones.")
    var warmup = 5

    @Option(help: "Measurements of both.")
    var pairs = 3

    @Option(help: "Options of the poll: they decide how long a tally is.")
    var options = 20

    @Option(help: "The --tick of the gateways: above a sweep's time it would be the wait.")
    var tick = "1ms"

    @Option(help: "Quiet seconds after opening, so that `viewers` messages have passed.")
    var settle = 6.0

    private static let cost = "server CPU per delivery, net"

    func validate() throws {
        guard gateways > 0, processes > 0, rounds > 0, pairs > 0, alone > 0, warmup >= 0,
            settle >= 0, (2...20).contains(options)
        else {
            throw ValidationError(
                "--warmup and --settle must not be below 0, --options 2 to 20, everything else above 0"
            )
        }
        guard processes % gateways == 0, subscribers % processes == 0 else {
            throw ValidationError(
                "--gateways must divide --processes, and --processes must divide --subscribers")
        }
        guard shared.target == nil, shared.database?.hasPrefix("postgres") == true else {
            throw ValidationError("the gateways share a database: give --database postgres://…")
        }
        try Session.checkDescriptors(for: max(subscribers / gateways, alone))
    }

    func run() throws {
        try Session.run("cluster", shared, isSharingCore: false) { session in
            session.report.notes.append(
                """
                net: all CPU of all gateways during the rounds, less that of as many votes for a poll \
                that nobody watches, divided by deliveries. Each gateway has one loop.
                """)
            let many = Layout(
                gateways: gateways, processes: processes, subscribers: subscribers)
            let one = Layout(gateways: 1, processes: 1, subscribers: alone)
            for pair in 0..<pairs {
                for layout in pair % 2 == 0 ? [one, many] : [many, one] {
                    try measure(layout, session)
                }
            }
            session.report.addRatio(
                of: Self.cost, load: many.name, to: one.name, target: "at most 1.2")
        }
    }

    private struct Layout {
        let gateways: Int
        let processes: Int
        let subscribers: Int
        var name: String { "\(subscribers) subscribers of \(gateways) gateways" }
    }

    private func measure(_ layout: Layout, _ session: Session) throws {
        var servers: [Server] = []
        defer { servers.forEach(session.stop) }
        for _ in 0..<layout.gateways {
            servers.append(
                try session.startGateway(["--tick", tick, "--redis", redis, "--loops", "1"]))
        }
        session.report.add(try measure(layout, servers, session))
        if ld_interrupted() { throw Failure.interrupted }
    }

    private func measure(_ layout: Layout, _ servers: [Server], _ session: Session) throws -> Run {
        let api = GatewayAPI(endpoint: servers[0].endpoint)
        let watched = try api.createPoll(title: "Cluster", optionCount: options)
        let unwatched = try api.createPoll(title: "Unwatched", optionCount: options)
        let viewers = try (0..<layout.processes).map { index in
            try ViewersProcess(
                of: servers[index % layout.gateways].endpoint, path: "/ws/polls/\(watched.id)/",
                count: layout.subscribers / layout.processes, sources: shared.sources)
        }
        func all(_ request: String) throws -> [Viewers.Answer] {
            for process in viewers { try process.ask(request) }
            return try viewers.map { try $0.answer() }
        }
        session.progress.show("opening \(layout.subscribers) subscribers")
        let opened = try all("open").reduce(0) { $0 + $1.reached }
        guard opened == layout.subscribers else {
            throw Failure.load("\(opened) of \(layout.subscribers) subscribers are up")
        }
        _ = try all("rest \(settle)")

        // Votes go to the first gateway, over one connection.
        let control = try Subscribers(
            of: servers[0].endpoint, sources: 0, path: "/", count: 0)
        var votes = 0
        func vote(for poll: GatewayAPI.Poll) throws {
            votes += 1
            var ignored = Distribution()
            let (_, failure) = control.round(
                api.voteRequest(poll: poll, option: votes, voter: "v\(votes)"),
                awaitsFrames: false, latencies: &ignored)
            if let failure { throw failure }
        }
        func cpu() -> Double { servers.reduce(0) { $0 + ($1.cpuSeconds ?? 0) } }

        var last = Distribution()
        var each = Distribution()
        var reached = 0
        func makeRounds(_ count: Int) throws {
            (last, each, reached) = (Distribution(), Distribution(), 0)
            for round in 0..<count {
                session.progress.show("\(layout.name): change \(round) of \(count)")
                // All processes are to read by then.
                let intended = ld_now_ns() + nanoseconds(0.005)
                for process in viewers { try process.ask("await \(intended)") }
                while ld_now_ns() < intended { usleep(100) }
                try vote(for: watched)
                let answers = try viewers.map { try $0.answer() }
                for answer in answers {
                    reached += answer.reached
                    each.merge(encoded: answer.latencies)
                }
                last.record((answers.map(\.lastNanoseconds).max() ?? intended) - intended)
            }
        }
        try makeRounds(warmup)
        let (before, begun) = (cpu(), ld_now_ns())
        let clientBefore = viewers.reduce(0) { $0 + $1.cpuSeconds }
        try makeRounds(rounds)
        let (after, wallSeconds) = (cpu(), Double(ld_now_ns() - begun) / 1e9)
        let clientAfter = viewers.reduce(0) { $0 + $1.cpuSeconds }
        let votesBefore = cpu()
        for _ in 0..<rounds { try vote(for: unwatched) }
        let votesAfter = cpu()

        var run = Run(server: "gateway", load: layout.name)
        run.expected = UInt64(rounds * layout.subscribers)
        run.received = UInt64(reached)
        let deliveries = Double(max(1, reached))
        run.add(Self.cost, (after - before - (votesAfter - votesBefore)) / deliveries * 1e6, "µs")
        run.add(Rounds.cost, (after - before) / deliveries * 1e6, "µs")
        run.add("client CPU per delivery", (clientAfter - clientBefore) / deliveries * 1e6, "µs")
        run.add("deliveries per second", deliveries / wallSeconds, "1/s")
        run.add("until the last has it", last)
        run.add("until each has it", each)
        let memory = servers.compactMap(\.anonymousBytes).reduce(0, +)
        run.add("memory of all gateways", memory / 1e6, "MB")
        return run
    }
}

import ArgumentParser
import CLoad
import Foundation
import Glibc

/// Gateways behind HAProxy are replaced one after another: how long is who away, and do all come back?
struct Rolling: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Gateways behind HAProxy, replaced one after another under viewers and votes.",
        discussion: """
            --database postgres://… and --redis say what the gateways share; deploy/cluster shows \
            how to start both.
            """)

    @OptionGroup var shared: SharedOptions

    @Option(help: "What the gateways tell each other through.")
    var redis: String

    @Option(help: "Gateways.")
    var gateways = 3

    @Option(help: "Viewers in all, spread by the balancer.")
    var viewers = 2000

    @Option(help: "The --drain of the gateways: closes are spread over it.")
    var drain = "5s"

    @Option(help: "Votes a second.")
    var rate = 50

    @Flag(name: .customLong("kill"), help: "Kill the gateways instead of asking them to end.")
    var kills = false

    func validate() throws {
        guard gateways > 1, viewers > 0, (1...1000).contains(rate) else {
            throw ValidationError(
                "give at least 2 gateways, 1 viewer, and 1 to 1000 votes a second")
        }
        guard shared.target == nil, shared.database?.hasPrefix("postgres") == true else {
            throw ValidationError("the gateways share a database: give --database postgres://…")
        }
        try Session.checkDescriptors(for: viewers)
    }

    func run() throws {
        try Session.run("rolling", shared, isSharingCore: false) { session in
            session.report.notes.append(
                "away: from a viewer's close until it has a snapshot through the balancer again.")
            session.report.add(try measure(session))
            if ld_interrupted() { throw Failure.interrupted }
        }
    }

    /// A gateway's place behind the balancer, whichever process is in it.
    private final class Place {
        let port: UInt16
        let operationsPort: UInt16
        var server: Server

        init(_ start: (UInt16, UInt16) throws -> Server) throws {
            port = try freePort()
            operationsPort = try freePort()
            server = try start(port, operationsPort)
        }
    }

    private func measure(_ session: Session) throws -> Run {
        func start(_ port: UInt16, _ operationsPort: UInt16) throws -> Server {
            try session.startGateway([
                "--listen", "127.0.0.1:\(port)", "--ops-listen", "127.0.0.1:\(operationsPort)",
                "--redis", redis, "--drain", drain, "--drain-delay", "500ms",
            ])
        }
        var places: [Place] = []
        defer { places.forEach { session.stop($0.server) } }
        for _ in 0..<gateways { places.append(try Place(start)) }
        let balancer = try Server(
            starting: balancer(of: places), "exec haproxy -db -f {folder}/cfg")
        defer { session.stop(balancer) }

        let poll = try GatewayAPI(endpoint: places[0].server.endpoint)
            .createPoll(title: "Rolling", optionCount: 4)
        let subscribers = try Subscribers(
            of: balancer.endpoint, sources: shared.sources, path: "/ws/polls/\(poll.id)/",
            count: viewers)
        var ignored = Distribution()
        let (_, failure) = subscribers.open(concurrency: 128, latencies: &ignored)
        if let failure { throw failure }
        try subscribers.persist(returns: viewers * gateways * 4)

        let begun = ld_now_ns()
        var votes = 0
        /// One vote through a gateway that stays, and as long a rest as the rate leaves.
        func step(through place: Place, _ what: String) throws {
            session.progress.show("\(what): \(subscribers.returns.count) came back")
            votes += 1
            try GatewayAPI(endpoint: place.server.endpoint).vote(poll, voter: "v\(votes)")
            try subscribers.rest(seconds: 1 / Double(rate))
        }
        func pause(_ seconds: Double, through place: Place) throws {
            for _ in 0..<Int(seconds * Double(rate)) { try step(through: place, "between") }
        }
        for (index, place) in places.enumerated() {
            let stays = places[(index + 1) % places.count]
            try pause(1, through: stays)
            if kills {
                place.server.cut()
            } else if let problem = try place.server.stop(meanwhile: {
                try step(through: stays, "gateway \(index + 1) drains")
            }) {
                session.report.problems.append(problem)
            }
            place.server = try start(place.port, place.operationsPort)
            try pause(2, through: stays)
        }
        let total = try GatewayAPI(endpoint: places[0].server.endpoint).total(of: poll)
        let revision = try GatewayAPI(endpoint: places[0].server.endpoint).revision(of: poll)
        let deadline = ld_now_ns() + nanoseconds(10)
        while subscribers.countHolding(revision) < viewers, ld_now_ns() < deadline {
            try subscribers.rest(seconds: 0.05)
        }
        if total != UInt64(votes) {
            session.report.problems.append("\(votes) votes were answered, the results say \(total)")
        }
        return run(subscribers.returns, subscribers.countHolding(revision), since: begun)
    }

    private func run(
        _ returns: [(lost: UInt64, back: UInt64)], _ holding: Int, since begun: UInt64
    ) -> Run {
        var run = Run(
            server: "\(gateways) gateways",
            load: "\(viewers) viewers, \(rate) votes/s, "
                + (kills ? "killed" : "drain \(drain)"))
        run.expected = UInt64(viewers)
        run.received = UInt64(holding)
        var away = Distribution()
        var perTenth: [Int: Double] = [:]
        for (lost, back) in returns {
            away.record(back - lost)
            perTenth[Int((back - begun) / 100_000_000), default: 0] += 1
        }
        run.add("came back", Double(returns.count), "")
        run.add("away", away)
        for limit in [0.05, 0.1, 0.25, 0.5, 1, 2, 5] {
            let count = returns.filter { Double($0.back - $0.lost) / 1e9 <= limit }.count
            run.add(
                "back within \(limit) s", Double(count) / Double(max(1, returns.count)) * 100, "%")
        }
        run.add("most in a tenth of a second", perTenth.values.max(), "")
        var overTime = Series(name: "viewers that came back in a tenth of a second", unit: "")
        for tenth in 0...(perTenth.keys.max() ?? 0) {
            overTime.points.append(.init(seconds: Double(tenth) / 10, value: perTenth[tenth] ?? 0))
        }
        run.series.append(overTime)
        return run
    }

    private func balancer(of places: [Place]) -> Peer {
        let servers = places.map {
            "    server gateway-\($0.port) 127.0.0.1:\($0.port) check port \($0.operationsPort)"
        }
        return Peer(
            name: "haproxy",
            files: [
                "cfg": [
                    "global", "    maxconn 9000", "defaults", "    mode tcp",
                    "    timeout connect 2s", "    timeout client 2m", "    timeout server 2m",
                    "listen polls", "    bind 127.0.0.1:{port}", "    balance leastconn",
                    "    option httpchk GET /readyz", "    option redispatch", "    retries 3",
                    "    default-server inter 100ms fall 1 rise 1",
                ] + servers
            ])
    }
}

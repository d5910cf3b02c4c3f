import CLoad
import Glibc

/// One change to all subscribers, the next when all have it: what some such rounds did.
struct Rounds {
    /// CPU of the server for everything that the rounds made it do, divided by deliveries.
    static let cost = "server CPU per delivery, raw"

    static func load(_ subscribers: Int) -> String { "\(subscribers) subscribers" }

    /// As asked for, or enough for 500,000 deliveries and at least 50.
    static func count(_ asked: Int?, subscribers: Int) -> Int {
        asked ?? max(50, 500_000 / subscribers)
    }

    private(set) var made = 0
    private(set) var delivered: UInt64 = 0
    private(set) var frames: UInt64 = 0
    private(set) var frameBytes = 0.0
    private(set) var others: UInt64 = 0
    private(set) var last = Distribution()
    private(set) var each = Distribution()
    private(set) var overTime = Series(name: "until the last has it", unit: "ms")
    private(set) var serverSeconds: Double?
    private(set) var clientSeconds = 0.0
    private(set) var wallSeconds = 0.0
    private(set) var failure: Failure?

    /// At least 1, to divide by.
    var deliveries: Double { Double(max(1, delivered)) }

    /// Makes `count` rounds. Ends early, with what there is, on Ctrl-C and on a failure.
    /// - Parameter round: makes one change, and returns when all have it.
    init(
        _ count: Int, of subscribers: Int, on server: Server, _ session: Session,
        _ round: (_ latencies: inout Distribution) -> (ld_round, Failure?)
    ) {
        let serverBefore = server.cpuSeconds
        let clientBefore = ld_process_cpu_ns(getpid())
        let begun = ld_now_ns()
        while made < count, !ld_interrupted() {
            session.progress.show(
                "\(server.name): \(subscribers) subscribers, change \(made) of \(count)")
            let (round, failure) = round(&each)
            if case .interrupted = failure { break }
            made += 1
            delivered += UInt64(round.reached_count - round.mismatch_count)
            frames += round.frame_count
            frameBytes += Double(round.frame_bytes)
            others += round.other_count
            if round.last_ns > 0 {
                last.record(round.last_ns - round.started_ns)
                overTime.points.append(
                    .init(
                        seconds: Double(round.started_ns - begun) / 1e9,
                        value: Double(round.last_ns - round.started_ns) / 1e6))
            }
            self.failure = failure
            if failure != nil { break }
        }
        wallSeconds = Double(ld_now_ns() - begun) / 1e9
        clientSeconds = Double(ld_process_cpu_ns(getpid()) - clientBefore) / 1e9
        if let before = serverBefore, let after = server.cpuSeconds {
            serverSeconds = after - before
        }
    }

    func add(to run: inout Run, subscribers: Int) {
        run.expected = UInt64(made * subscribers)
        run.received = delivered
        run.add(Self.cost, serverSeconds.map { $0 / deliveries * 1e6 }, "µs")
        run.add("client CPU per delivery", clientSeconds / deliveries * 1e6, "µs")
        run.add("deliveries per second", deliveries / wallSeconds, "1/s")
        run.add("until the last has it", last)
        run.series.append(overTime)
        run.add("until each has it", each)
    }
}

import ArgumentParser
import CLoad
import Glibc

/// What does a subscribed socket cost while nothing happens?
struct Idle: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Memory of subscribed sockets at rest, and the CPU of keeping them.")

    @OptionGroup var shared: SharedOptions
    @OptionGroup var comparison: ComparisonOptions

    @Option(help: "Subscribed sockets.")
    var subscribers = 15_000

    @Option(help: "Measured seconds; two ping periods are 50.")
    var seconds = 60.0

    @Option(help: "Seconds between the last snapshot and the first reading.")
    var settle = 10.0

    func validate() throws {
        guard subscribers > 0, seconds > 0, settle >= 0 else {
            throw ValidationError("--subscribers and --seconds must be above 0")
        }
        try Session.checkDescriptors(for: subscribers)
    }

    func run() throws {
        try Session.run("idle", shared, isSharingCore: true) { session in
            session.report.notes.append(
                "Memory is the growth of RssAnon: the process's own, without the kernel's socket "
                    + "buffers (8 to 10 KB a loopback pair, the same for all servers).")
            try session.measure(comparison) { try measure($0, session) }
        }
    }

    private func measure(_ server: Server, _ session: Session) throws -> (Run, Session.FrameSizes) {
        let api = GatewayAPI(endpoint: server.endpoint)
        let poll = try api.createPoll(title: "Idle", optionCount: 4)
        let memoryBefore = server.anonymousBytes
        let subscribers = try Subscribers(
            of: server.endpoint, sources: shared.sources, path: "/ws/polls/\(poll.id)/",
            count: subscribers)
        session.progress.show("\(server.name): opening \(subscribers.count) subscribers")
        var ignored = Distribution()
        let (opening, failure) = subscribers.open(concurrency: 256, latencies: &ignored)
        if let failure { throw failure }
        try rest(subscribers, seconds: settle, "settling", server, session)
        let memoryAfter = server.anonymousBytes

        let cpuBefore = server.cpuSeconds
        let begun = ld_now_ns()
        var frames: UInt64 = 0
        do {
            frames = try rest(subscribers, seconds: seconds, "idle", server, session)
        } catch Failure.interrupted {
            session.report.wasInterrupted = true
        }
        let elapsed = Double(ld_now_ns() - begun) / 1e9

        var run = Run(server: server.name, load: "\(subscribers.count) idle subscribers")
        run.expected = UInt64(subscribers.count)
        run.received = UInt64(opening.ready_count)
        if let before = memoryBefore, let after = memoryAfter {
            run.add("user memory per socket", (after - before) / Double(subscribers.count), "B")
        }
        if let before = cpuBefore, let after = server.cpuSeconds {
            run.add("idle CPU of a core", (after - before) / elapsed * 100, "%")
        }
        run.add("measured", elapsed, "s")
        run.add("frames per socket meanwhile", Double(frames) / Double(subscribers.count), "")
        run.add("memory of the process", server.anonymousBytes.map { $0 / 1e6 }, "MB")
        return (
            run,
            Session.FrameSizes(
                tally: comparison.frameBytes, snapshot: Int(opening.snapshot_bytes))
        )
    }

    /// Rests in short pieces, for the progress line. A lost subscriber ends it.
    @discardableResult
    private func rest(
        _ subscribers: borrowing Subscribers, seconds: Double, _ what: String, _ server: Server,
        _ session: Session
    ) throws -> UInt64 {
        var frames: UInt64 = 0
        let until = ld_now_ns() + nanoseconds(seconds)
        while true {
            let now = ld_now_ns()
            guard now < until else { break }
            let left = Double(until - now) / 1e9
            session.progress.show("\(server.name): \(what), \(Int(left)) s left")
            frames += try subscribers.rest(seconds: min(left, 1))
        }
        return frames
    }
}

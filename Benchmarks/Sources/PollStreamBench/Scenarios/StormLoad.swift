import CLoad
import Glibc

/// Votes at a rate while many watch; the load of `storm`, `slow`, `churn` and `many-polls`.
struct StormLoad {
    let name: String
    let viewers: Int
    /// Votes a second.
    let rate: Int
    let connections: Int
    let seconds: Double
    let warmup: Double
    let options: Int
    /// Viewers beside the others that never read, once they have their snapshot.
    var mute = 0
    /// Viewers beside the others that leave and join again, so many a second in all.
    var passers = 0
    var joinsPerSecond = 0
    /// Polls that the votes go to in turn, and those of them that each viewer watches.
    var polls = 1
    var pollsEach = 1

    /// A screen is one poll of one viewer.
    private var screens: Int { viewers * pollsEach }
    private var screensOfPoll: Int { screens / polls }

    static let inFlight = 64

    static let explanation = """
        vote to screen: from the intended time of a vote until a viewer holds a revision at or above \
        its answer's; every vote paired with every viewer of its poll. expected and received count these pairs.
        """

    /// Adds a run to the report, of a gateway that is started for it.
    func run(in session: Session, tick: String) throws {
        let server = try session.startGateway(["--tick", tick])
        defer { session.stop(server) }
        session.report.add(try measure(server, session))
        if ld_interrupted() { throw Failure.interrupted }
    }

    private func measure(_ server: Server, _ session: Session) throws -> Run {
        let api = GatewayAPI(endpoint: server.endpoint)
        let polls = try (1...polls).map { number in
            if number % 500 == 0 { session.progress.show("creating poll \(number)") }
            return try api.createPoll(title: "Storm \(number)", optionCount: options)
        }
        let path = "/ws/polls/\(polls[0].id)/"
        let sources = session.shared.sources
        let memoryUnwatched = server.anonymousBytes
        let subscribers =
            polls.count == 1
            ? try Subscribers(of: server.endpoint, sources: sources, path: path, count: viewers)
            : try Subscribers(
                of: server.endpoint, sources: sources, path: "/ws/",
                subject: .polls(polls, each: pollsEach), count: viewers)
        session.progress.show("opening \(viewers) viewers")
        var ignored = Distribution()
        let (_, failure) = subscribers.open(concurrency: 256, latencies: &ignored)
        if let failure { throw failure }
        // Opened, and then never looked at again.
        let muteViewers = try Subscribers(
            of: server.endpoint, sources: sources, path: path, count: mute)
        let (_, muteFailure) = muteViewers.open(concurrency: 256, latencies: &ignored)
        if let muteFailure { throw muteFailure }
        let passers = try Subscribers(
            of: server.endpoint, sources: sources, path: path, count: passers)
        let (_, passersFailure) = passers.open(concurrency: 256, latencies: &ignored)
        if let passersFailure { throw passersFailure }
        try subscribers.rest(seconds: 1)
        let memoryWatched = server.anonymousBytes
        let voters = try Voters(
            of: server.endpoint, sources: sources,
            plan: Voters.Plan(
                connections: connections, inFlight: Self.inFlight, overHTTP: false, polls: polls))
        voters.start(votesPerSecond: rate)
        try run(
            subscribers, passers: passers, voters, seconds: warmup, "warming up", server, session)

        // A tick of 1 ms could bring as many frames as there are votes.
        let framesMax = min(Double(rate) / Double(polls.count), 250) * (seconds + 10)
        try ScreenTimes.log(
            subscribers, arrivals: Int(Double(screens) * (framesMax + 10)), voters,
            receipts: Int(Double(rate) * (seconds + 10)))
        if joinsPerSecond > 0 {
            try passers.beginChurn(perSecond: joinsPerSecond, forSeconds: seconds)
        }
        let (serverBefore, clientBefore) = (server.cpuSeconds, ld_process_cpu_ns(getpid()))
        let memoryBefore = server.anonymousBytes
        let begun = ld_now_ns()
        let watched = try run(
            subscribers, passers: passers, voters, seconds: seconds, "storm", server, session)
        if joinsPerSecond > 0 { try passers.beginChurn(perSecond: 0, forSeconds: 0) }
        let elapsed = Double(ld_now_ns() - begun) / 1e9
        let clientSeconds = Double(ld_process_cpu_ns(getpid()) - clientBefore) / 1e9
        let serverAfter = server.cpuSeconds
        let memoryAfter = server.anonymousBytes
        var count = 0
        var lost: UInt64 = 0
        ld_subscribers_arrivals(subscribers.handle, &count, &lost)
        let framesPerSecond = Double(count) / Double(screens) / elapsed
        try settle(subscribers, passers: passers, voters, session)

        let pairs = try ScreenTimes.pairs(
            subscribers, voters, views: screens, polls: polls.count)
        var run = Run(server: server.name, load: name)
        run.expected = UInt64(pairs.receipts) * UInt64(screensOfPoll)
        run.received = run.expected - pairs.missing
        run.add("vote to screen", pairs.times)
        run.add("vote to answer", pairs.answers)
        run.series = [watched.answers, watched.cpu]
        run.add("votes answered per second", Double(pairs.receipts) / elapsed, "1/s")
        run.add("tallies per second and screen", framesPerSecond, "1/s")
        run.add("deliveries per second", framesPerSecond * Double(screens), "1/s")
        if let from = serverBefore, let to = serverAfter {
            run.add("server CPU", (to - from) / elapsed * 100, "%")
        }
        run.add("client CPU", clientSeconds / elapsed * 100, "%")
        if let memoryBefore, let memoryAfter, let memoryMost = watched.memory {
            run.add("server memory, first", memoryBefore / 1e6, "MB")
            run.add("server memory, most", memoryMost / 1e6, "MB")
            run.add("server memory, last", memoryAfter / 1e6, "MB")
        }
        if polls.count > 1, let memoryUnwatched, let memoryWatched {
            run.add(
                "user memory per screen", (memoryWatched - memoryUnwatched) / Double(screens), "B")
        }
        addChurn(of: passers, elapsed, to: &run, session)
        check(pairs, voters, try polls.reduce(0) { try $0 + api.total(of: $1) }, session)
        return run
    }

    private struct Watched {
        /// The most memory that was seen.
        var memory: Double?
        var answers = Series(name: "votes answered per second", unit: "1/s")
        var cpu = Series(name: "server CPU", unit: "%")
    }

    /// In short pieces, for the progress line and for what is shown over time.
    @discardableResult
    private func run(
        _ subscribers: borrowing Subscribers, passers: borrowing Subscribers,
        _ voters: borrowing Voters, seconds: Double, _ what: String, _ server: Server,
        _ session: Session
    ) throws -> Watched {
        let begun = ld_now_ns()
        let until = begun + nanoseconds(seconds)
        var watched = Watched(memory: server.anonymousBytes)
        while case let now = ld_now_ns(), now < until {
            let counts = voters.counts
            session.progress.show(
                "\(what): \(counts.cast_count) cast, \(counts.answer_count) answered")
            let cpuBefore = server.cpuSeconds
            try ScreenTimes.run(
                subscribers, passers: passers, voters, seconds: min(Double(until - now) / 1e9, 0.25)
            )
            watched.memory = server.anonymousBytes.map { max($0, watched.memory ?? 0) }
            let (at, took) = (Double(ld_now_ns() - begun) / 1e9, Double(ld_now_ns() - now) / 1e9)
            let answers = Double(voters.counts.answer_count - counts.answer_count)
            watched.answers.points.append(.init(seconds: at, value: answers / took))
            if let cpuBefore, let cpu = server.cpuSeconds {
                watched.cpu.points.append(.init(seconds: at, value: (cpu - cpuBefore) / took * 100))
            }
        }
        return watched
    }

    /// No more votes; until all are answered and on every screen, for up to ten seconds.
    private func settle(
        _ subscribers: borrowing Subscribers, passers: borrowing Subscribers,
        _ voters: borrowing Voters, _ session: Session
    ) throws {
        ld_voters_stop(voters.handle)
        session.progress.show("waiting for the last answers and screens")
        let deadline = ld_now_ns() + nanoseconds(10)
        while ld_now_ns() < deadline {
            try ScreenTimes.run(subscribers, passers: passers, voters, seconds: 0.05)
            let (counts, churn) = (voters.counts, passers.churn)
            guard counts.answer_count == counts.cast_count,
                joinsPerSecond == 0 || churn.joined_count == churn.left_count
            else { continue }
            guard polls == 1 else {
                // Which screen is to hold what is only found out when all are paired.
                return try ScreenTimes.run(subscribers, passers: passers, voters, seconds: 1)
            }
            let newest = ScreenTimes.newestRevision(voters)
            if Int(ld_subscribers_holding(subscribers.handle, newest)) == viewers { return }
        }
    }

    private func addChurn(
        of passers: borrowing Subscribers, _ elapsed: Double, to run: inout Run, _ session: Session
    ) {
        guard joinsPerSecond > 0 else { return }
        let churn = passers.churn
        var joining = Distribution()
        passers.record(into: &joining)
        run.add("joins per second", Double(churn.joined_count) / elapsed, "1/s")
        run.add("connect() to snapshot", joining)
        if churn.joined_count != churn.left_count {
            session.report.problems.append(
                "\(churn.left_count) left, only \(churn.joined_count) were back")
        }
        if churn.left_count != churn.due_count {
            session.report.problems.append(
                "\(churn.due_count - churn.left_count) were to leave and had not joined yet")
        }
    }

    private func check(
        _ pairs: ScreenTimes.Pairs, _ voters: borrowing Voters, _ total: UInt64,
        _ session: Session
    ) {
        let counts = voters.counts
        func expect(_ isTrue: Bool, _ otherwise: String) {
            if !isTrue { session.report.problems.append(otherwise) }
        }
        expect(pairs.missing == 0, "\(pairs.missing) pairs of vote and viewer never met")
        expect(pairs.lost == 0, "\(pairs.lost) arrivals or answers found no room in the log")
        expect(counts.lost_count == 0, "\(counts.lost_count) connections of voters were lost")
        expect(
            counts.answer_count == counts.cast_count,
            "\(counts.cast_count - counts.answer_count) votes were not answered")
        let others = voters.outcomes.filter { $0.name != "counted" }.map(\.name)
        expect(others.isEmpty, "not every vote was counted: also \(others.joined(separator: ", "))")
        expect(
            total == counts.answer_count,
            "\(counts.answer_count) votes were answered, the results say \(total)")
        let uncast = counts.due_count - counts.cast_count
        expect(
            uncast * 100 <= counts.due_count,
            "the rate was not reached: \(uncast) votes were due and found no place")
    }
}

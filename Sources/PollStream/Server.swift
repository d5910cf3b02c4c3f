import Catalogue
import Events
import Gateway
import Identity
import Ledger
import Polls
import Reactor
import Relay
import Store
import Telemetry
import Threads

/// Builds the rooms and joins their doors. This file is the architecture.
final class Server {
    private let configuration: Configuration
    private let log: Log
    private let logOutput: LogOutput
    private let storage: Storage
    private let unlocking: Unlocking
    private let retention: Retention?
    private let ledgers: Ledgers
    private let catalogue: Catalogue
    /// nil: this gateway is alone, or meets the others in the database only.
    private let relay: Relay?
    /// nil: no broker, or other gateways tell it.
    private let events: Events?
    private let readiness: Readiness
    private let budget: ConnectionBudget
    private let loops: [LoopThread]
    /// nil: no TLS ends here.
    private let certificates: Certificates?
    private let switchboard = Switchboard()
    private let shutdown = Shutdown()
    private let signals: Signals
    private let manager = ServiceManager(environment: Host.environment)
    private let watchdog: Watchdog
    private let served: [ListenAddress]
    private let operations: ListenAddress?

    /// Opens the store and the listeners; nothing is served yet.
    /// - Throws: `StoreError` or `ReactorError`: what cannot be used, and why.
    init(_ configuration: Configuration) throws {
        Signal.blockAll()
        self.configuration = configuration
        logOutput = LogOutput()
        log = Log(
            level: configuration.logLevel, format: configuration.logFormat, to: logOutput,
            now: Clock.unixMilliseconds)
        signals = Signals(log: log, manager: manager)
        let descriptorLimit = ConnectionBudget.raiseDescriptorLimit()
        let connectionLimit = configuration.connectionLimit(
            descriptors: descriptorLimit, watches: Machine.currentWatches())
        budget = ConnectionBudget(
            connectionLimit: UInt32(clamping: connectionLimit),
            bufferLimit: configuration.bufferLimit(memoryBytes: Host.memoryBytes))

        let keys = Keys(configuration.keys)
        for file in keys.files { signals.onReload(file) }
        storage = try Storage(configuration, voterTokens: keys.voterTokens, log: log)
        let shared = Shared(
            secrets: storage.secrets, jwt: keys.jwt, feedRate: configuration.gateway.feedRate)
        relay = configuration.relay.map { [log, switchboard] settings in
            Relay(
                settings: settings, log: log, viewers: { shared.viewers.own },
                heard: { news in
                    for viewers in news.viewers {
                        shared.viewers.lease(viewers.count, of: viewers.poll, to: viewers.node)
                    }
                    switchboard.announce(news)
                    let now = UInt64(Clock.monotonicNanoseconds())
                    let counted = news.counted.filter { _ in shared.feedPacer.take(at: now) }
                    if !counted.isEmpty { switchboard.tellAll(.counted(counted)) }
                    for (poll, key) in news.voted { switchboard.tellAll(.voted(poll, key)) }
                })
        }
        events = configuration.events.map { [storage, log] in
            Events(settings: $0, store: storage.events, log: log)
        }
        unlocking = Unlocking(storage, log: log) { [switchboard, relay, events, manager] in
            switchboard.tellAll(.unlock($0))
            manager.ready("serving")
            relay?.start(seal: $0.seal)
            events?.start()
        }
        let happened: @Sendable (PollEvent) -> Void = { [switchboard, relay, events] in
            switchboard.announce($0)
            relay?.publish($0)
            events?.wake()
        }
        retention = configuration.retainMilliseconds.map { [storage, log] in
            Retention(store: storage.retention, after: Int64($0), log: log)
        }
        let takesVotes = configuration.gateway.services.contains(.votes)
        ledgers = Ledgers(
            settings: configuration.ledger, stores: takesVotes ? storage.ledgers : [], log: log,
            settled: { [switchboard] in switchboard.deliver($0) }, happened: happened)
        catalogue = Catalogue(
            settings: configuration.catalogue, store: storage.catalogue, exports: storage.exports,
            log: log,
            makeHostKey: {
                let key = HostKey.generate()
                return (key, key.hashed(by: HostKey.hash(of:)))
            },
            makeJoinCode: JoinCode.generate,
            answered: { [switchboard] in switchboard.deliver($0) }, happened: happened)

        readiness = Readiness { [unlocking, ledgers, catalogue] in
            unlocking.isUnlocked && ledgers.isHealthy && catalogue.isHealthy
        }
        let refusals = Refusals(log: log)
        let metrics = MetricsPage()
        let doors = Doors(
            enqueue: { [ledgers] in ledgers.enqueue($0) },
            ask: { [catalogue] in catalogue.ask($0, ticket: $1) },
            isReady: { [readiness] in readiness.dependenciesWork },
            metrics: { metrics.render() },
            drain: { [shutdown] in shutdown.request(seconds: $0) },
            tellOthers: { [switchboard] in switchboard.tellOthers($0, from: $1) },
            watch: { [relay] in $1 ? relay?.watch($0) : relay?.leave($0) },
            tellGateways: { [relay] in relay?.publish($0) },
            tellVoted: { [relay] in relay?.publish(voter: $1, of: $0) },
            tellsRefusals: { [refusals] in refusals.tellsAll },
            tellRefused: { [refusals] in refusals.tell($0) })

        var loopSettings = configuration.loop
        loopSettings.usesURing = try configuration.fanOut.usesURing()
        loopSettings.overloadResponse = Gateway.overloadResponse
        var loops: [LoopThread] = []
        for index in 0..<configuration.loopCount {
            let gateway = Gateway(
                loopIndex: index, settings: configuration.gateway, doors: doors, shared: shared)
            loops.append(
                try LoopThread(
                    index: index, settings: loopSettings, budget: budget, gateway: gateway))
        }
        self.loops = loops
        certificates = configuration.loop.tls.map { [log] in Certificates($0, log: log) }
        if let certificates {
            signals.onReload(
                Reloadable(name: "TLS certificates") { [switchboard] in
                    try certificates.reload { switchboard.tellAll(.certificates($0)) }
                })
        }
        watchdog = Watchdog(manager, loops: loops.map(\.statistics))
        (served, operations) = try Server.listen(configuration, on: loops)
        switchboard.connect(loops.map(\.inbox))
        let loopMetrics = LoopMetrics(
            readers: loops.map(\.statistics), gateways: loops.map(\.gatewayStatistics),
            connectionLimit: connectionLimit, budget: budget,
            tickNanoseconds: loopSettings.tickNanoseconds)
        metrics.connect(
            Metrics([
                readiness.write, loopMetrics.write, shared.write,
                { [ledgers] text in
                    text.counter(
                        "pollstream_limits_hit_total",
                        "How often somebody ran into a limit, by the name of its option where it has one.",
                        by: "limit", (loopMetrics.limits + ledgers.limits).map { ($0, $1) })
                },
                ledgers.write, catalogue.write, logOutput.write,
                storage.write, keys.write, { [relay] text in relay?.write(to: &text) },
                { [events] text in events?.write(to: &text) },
                { [retention] text in retention?.write(to: &text) },
                { [certificates] text in certificates?.write(to: &text) },
                ProcessMetrics(startedAt: Clock.unixMilliseconds()).write,
            ]))
        log.info(
            "starting",
            [
                "version": Version.current, "loops": "\(loops.count)",
                "descriptors": "\(descriptorLimit)", "connections": "\(connectionLimit)",
                "buffer_bytes": "\(budget.bufferLimit)",
                "database": "\(configuration.database)",
                "redis": configuration.relay.map { "\($0.target)" } ?? "none",
                "events": configuration.events.map { "\($0.target)" } ?? "none",
                "tls": certificates.map { $0.summary } ?? "none",
                "fan_out": loopSettings.usesURing ? "uring" : "send",
                "tick_ms": "\(configuration.loop.tickNanoseconds / 1_000_000)",
            ])
    }

    /// Serves until the process is asked to stop, and then drains it.
    func serve() {
        ledgers.start()
        catalogue.start()
        for loop in loops { loop.start() }
        unlocking.start()
        if let seal = storage.secrets?.seal {
            relay?.start(seal: seal)
            events?.start()
        }
        retention?.start()
        signals.start()
        watchdog.start()
        let scheme = configuration.gateway.endsTLS ? "https" : "http"
        for address in served { Host.say("listening on \(scheme)://\(address)") }
        if let operations { Host.say("ops on http://\(operations)") }
        manager.ready(unlocking.isUnlocked ? "serving" : "waiting for the database")
        guard case .drain(let request)? = shutdown.wait(isDraining: false, until: nil) else {
            return
        }
        drain(within: request.drainMilliseconds ?? configuration.drainMilliseconds)
    }

    /// `/readyz` first, then paced closes, then what is in flight, then the store.
    private func drain(within milliseconds: Int) {
        let began = Clock.monotonicNanoseconds()
        readiness.beginDraining()
        manager.stopping("draining")
        let delay = configuration.drainDelayMilliseconds
        let servesUntil = began + Int64(delay) * 1_000_000
        let deadline = servesUntil + Int64(milliseconds) * 1_000_000
        // Closes end well before the deadline, so that clients can still answer them.
        let spread = milliseconds * 3 / 4
        log.notice(
            "draining",
            ["for_ms": "\(milliseconds)", "connections": "\(budget.connectionCount)"])
        switchboard.tellAll(.drain(delay: UInt32(delay), spread: UInt32(spread)))

        wait(until: deadline) { [budget] in
            Clock.monotonicNanoseconds() >= servesUntil && budget.connectionCount == 0
        }
        let cut = budget.connectionCount
        // A ballot whose socket is gone is committed all the same.
        let settled = wait(until: max(deadline, Clock.monotonicNanoseconds() + 500_000_000)) {
            [ledgers] in ledgers.drain(until: Clock.monotonicNanoseconds())
        }
        watchdog.stop()
        for loop in loops { loop.stop() }
        let patience = Clock.monotonicNanoseconds() + 500_000_000
        let rested = retention?.stop(until: patience) ?? true
        let told = relay?.stop(until: patience) ?? true
        let answered = catalogue.drain(until: patience)
        // What the broker has not taken by then it gets from whoever comes next.
        let published = events?.stop(until: max(patience, min(deadline, patience + 1_500_000_000)))
        let isStoreFree = settled && answered && rested && (published ?? true)
        if isStoreFree { storage.close() }
        log.notice(
            "stopped",
            [
                "after_ms": "\((Clock.monotonicNanoseconds() - began) / 1_000_000)",
                "connections_cut": "\(cut)", "ballots_settled": "\(settled)",
            ])
        logOutput.flush(until: Clock.monotonicNanoseconds() + 200_000_000)
        // A thread that still waits for its store or for Redis would wake a loop that is gone by then.
        if !(isStoreFree && told) { Host.exitAtOnce() }
    }

    /// Asks `isDone` every 20 ms until `deadline`; who is asked to stop a second time stops at once.
    /// - Returns: whether it was done.
    @discardableResult
    private func wait(until deadline: Int64, for isDone: () -> Bool) -> Bool {
        while !isDone() {
            let now = Clock.monotonicNanoseconds()
            if now >= deadline { return false }
            let turn = min(deadline, now + 20_000_000)
            if shutdown.wait(isDraining: true, until: turn) == .stop {
                log.warning(
                    "stopping at once", ["connections": "\(budget.connectionCount)"])
                logOutput.flush(until: Clock.monotonicNanoseconds() + 100_000_000)
                Host.exitAtOnce()
            }
        }
        return true
    }

    // MARK: Parts

    /// Every loop listens on every address; a port that is picked is picked once. Operations are
    /// served by the first loop alone.
    private static func listen(_ configuration: Configuration, on loops: [LoopThread]) throws
        -> (served: [ListenAddress], operations: ListenAddress?)
    {
        var served: [ListenAddress] = []
        for var address in configuration.listen {
            try loops[0].probe(address)
            for loop in loops { address.port = try loop.listen(address, kind: .publicAPI) }
            served.append(address)
        }
        var operations = configuration.operationsListen
        if let address = operations {
            try loops[0].probe(address)
            operations?.port = try loops[0].listen(address, kind: .operations)
        }
        return (served, operations)
    }

    /// What `pollstream check` finds: looks at the store, tries the addresses, and changes nothing.
    static func problems(with configuration: Configuration) -> [String] {
        var problems: [String] = []
        do {
            try Storage.check(configuration.database, migrates: configuration.migrates)
        } catch {
            problems.append("--database: \(Advice.with("\(error)"))")
        }
        do {
            _ = try configuration.fanOut.usesURing()
        } catch {
            problems.append("--fan-out: \(error)")
        }
        if let target = configuration.relay?.target, let reason = Relay.refusal(of: target) {
            problems.append("--redis: \(target): \(reason)")
        }
        let budget = ConnectionBudget(connectionLimit: 1)
        for (option, address) in configuration.listen.map({ ("--listen", $0) })
            + (configuration.operationsListen.map { [("--ops-listen", $0)] } ?? [])
        {
            do {
                let probe = try Loop(
                    settings: configuration.loop, budget: budget, handler: DeafHandler())
                try probe.probe(address: address.host, port: address.port)
            } catch {
                problems.append("\(option): \(Advice.with("\(error)"))")
            }
        }
        return problems
    }
}

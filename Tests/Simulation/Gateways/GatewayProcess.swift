import Catalogue
import Gateway
import Identity
import Ledger
import Polls
import Reactor
import Relay
import Telemetry

/// One gateway from its start to its death: the rooms joined as `Server` joins them, on made-up time.
final class GatewayProcess: @unchecked Sendable {
    private(set) var isAlive = true
    private(set) var loops: [LoopRoom] = []
    private let world: World
    private let site: Site
    private let shared: Shared
    private var ledgers: [LedgerRoom] = []
    private var catalogue: CatalogueRoom!
    private var relay: RelayRoom?

    /// - Parameter number: no two of a run have the same.
    init(_ site: Site, number: Int) throws {
        self.site = site
        world = site.world
        shared = Shared(secrets: site.secrets)
        let (plan, world) = (site.plan, site.world)
        let alive = { [unowned self] in isAlive }
        if plan.hasBus {
            relay = try RelayRoom(
                world, bus: site.bus, seal: site.secrets.seal, number: UInt64(number),
                isAlive: alive, viewers: { [shared] in shared.viewers.own },
                heard: { [unowned self] in hear($0) })
        }
        let happened: @Sendable (PollEvent) -> Void = { [unowned self] event in
            let event = site.mutate(event)
            if isAlive, let event {
                tellAll(.happened(event))
                relay?.publish(event)
            }
        }
        ledgers = (0..<plan.ledgerCount).map { _ in
            LedgerRoom(
                world, settings: plan.ledger,
                connection: LedgerConnection(
                    world, site.database, site.faults, site.witness),
                pace: site.pace, log: site.log, isAlive: alive,
                settled: { [unowned self] in deliver($0) }, happened: happened)
        }
        catalogue = CatalogueRoom(
            world,
            store: CatalogueConnection(
                world, site.database.makeCatalogue(), site.faults, site.witness),
            pace: site.pace, log: site.log, makeJoinCode: { site.makeJoinCode() },
            isAlive: alive,
            answered: { [unowned self] in
                loops[Int($0.ticket.loop)].put(.answered($0))
            }, happened: happened)
        let budget = ConnectionBudget(connectionLimit: 1_000)
        for index in 0..<plan.loopCount {
            loops.append(
                try LoopRoom(
                    world, index: index, settings: plan.gateway, loopSettings: plan.loop,
                    doors: doors, shared: shared, budget: budget))
        }
    }

    private var doors: Doors {
        Doors(
            enqueue: { [unowned self] ballot in
                ledgers[Int(ballot.pollID.rawValue) % ledgers.count].enqueue(ballot)
            },
            ask: { [unowned self] in catalogue.ask($0, $1) },
            isReady: { true }, metrics: { [] }, drain: { _ in },
            tellOthers: { [unowned self] message, from in
                for (index, loop) in loops.enumerated() where index != Int(from) {
                    loop.put(message)
                }
            },
            watch: { [unowned self] in relay?.watch($0, $1) },
            tellGateways: { [unowned self] in relay?.publish($0) },
            tellVoted: { [unowned self] in relay?.publish(voter: $1, of: $0) })
    }

    /// It is killed: what was on its way inside is lost.
    func die() {
        isAlive = false
        for loop in loops { loop.end() }
        catalogue.end()
        relay?.end()
        loops = []
    }

    func slowCommits(until time: Int64) {
        for ledger in ledgers { ledger.isSlowUntil = time }
    }

    private func tellAll(_ message: LoopMessage) {
        for loop in loops { loop.put(message) }
    }

    private func deliver(_ settled: [SettledBallot]) {
        if !isAlive { return }
        let settled = site.mutate(settled)
        var byLoop = [[SettledBallot]](repeating: [], count: loops.count)
        for ballot in settled {
            if world.mutation == .losesAnswers, world.chance.happens(0.05) { continue }
            if let ticket = ballot.ticket { byLoop[Int(ticket.loop)].append(ballot) }
        }
        for (loop, ballots) in zip(loops, byLoop) where !ballots.isEmpty {
            loop.put(.settled(ballots))
        }
    }

    private func hear(_ news: RelayNews) {
        for viewers in news.viewers {
            shared.viewers.lease(viewers.count, of: viewers.poll, to: viewers.node)
        }
        if !news.tallies.isEmpty || !news.changed.isEmpty {
            let tallies = news.tallies.values.sorted { $0.pollID < $1.pollID }
            tellAll(
                .heard(
                    tallies: tallies.map { site.mutate($0) }, changed: news.changed.sorted()))
        }
        if !news.counted.isEmpty { tellAll(.counted(news.counted)) }
        for (poll, key) in news.voted { tellAll(.voted(poll, key)) }
    }
}

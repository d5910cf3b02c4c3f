import Gateway
import Glibc
import Identity
import Polls
import Store
import Telemetry

/// All of one run but its clients: the gateways, what they share, and what goes wrong with it.
final class Site: @unchecked Sendable {
    let world: World
    let plan: Plan
    let database: any Database
    let witness: Witness
    let faults = StorageFaults()
    let pace = Pace()
    let bus: Bus
    let log: Log
    let hasher = IdentityHasher(key: Array(repeating: 7, count: 32))
    let signer = VoterTokenSigner(key: Array(repeating: 8, count: 32))
    let secrets: Secrets
    /// In the place of each gateway, the one that runs there; a dead one until the next is started.
    private(set) var gateways: [GatewayProcess] = []
    /// Those that went before: what still comes for them has to find them.
    private var dead: [GatewayProcess] = []
    private var startCount = 0
    private var joinCodes = 0
    private var lastTallies: [PollID: Tally] = [:]
    fileprivate(set) var isStormy = false
    fileprivate var stormEndedAt: Int64 = 0

    init(_ world: World, _ plan: Plan, log: Log, folder: String) throws {
        self.world = world
        self.plan = plan
        self.log = log
        switch plan.store {
        case .memory: database = MemoryDatabase(Tables(world, skew: plan.skew))
        case .sqlite:
            database = try SQLiteDatabase(world, skew: plan.skew, folder: folder)
        }
        witness = Witness(world, database)
        bus = Bus(world)
        secrets = Secrets(
            hasher: hasher, tokens: signer, seal: RelaySeal(key: Array(repeating: 9, count: 32)))
        for _ in 0..<plan.gatewayCount { gateways.append(try makeGateway()) }
    }

    private func makeGateway() throws -> GatewayProcess {
        startCount += 1
        return try GatewayProcess(self, number: startCount)
    }

    /// Somewhere a client may turn to.
    func connect(to index: Int? = nil) -> Wire? {
        let gateway = gateways[index ?? world.chance.number(in: 0...gateways.count - 1)]
        guard gateway.isAlive else { return nil }
        return world.chance.pick(gateway.loops).connect()
    }

    func makeJoinCode() -> String {
        joinCodes += 1
        return "CODE\(joinCodes)"
    }

    func kill(_ index: Int) {
        guard gateways[index].isAlive else { return }
        world.tell("gateway \(index) dies")
        world.count("deaths")
        gateways[index].die()
        database.takeDeath()
        world.after(world.chance.milliseconds(5...800)) { [self] in
            world.tell("gateway \(index) starts")
            dead.append(gateways[index])
            do { gateways[index] = try makeGateway() } catch { fatalError("\(error)") }
        }
    }

    /// Ends everything that runs, in the order that it needs.
    func end() {
        for gateway in gateways { gateway.die() }
        world.end()
        // They hold the site, and those of the bus hold the gateways' relays.
        bus.end()
        gateways = []
        dead = []
    }

    // MARK: Mistakes

    /// - Returns: nil where nobody is to hear of it.
    func mutate(_ event: PollEvent) -> PollEvent? {
        switch (event, world.mutation) {
        case (.deleted, .hidesDeletions?): return nil
        case (.tallies(let tallies), .believesTheLast?):
            return .tallies(tallies.map(mutate))
        case (.changed(var record, .closed), .closesWithAnOldTally?):
            let id = record.poll.id
            if let earlier = lastTallies[id] {
                record.poll.tally.counts = earlier.counts
                record.poll.tally.ballots = earlier.ballots
            }
            return .changed(record, .closed)
        case (.tallies(let tallies), .closesWithAnOldTally?):
            // One behind, so that the close has something to forget.
            for tally in tallies where world.chance.happens(0.5) {
                lastTallies[tally.pollID] = tally
            }
            return event
        default: return event
        }
    }

    func mutate(_ settled: [SettledBallot]) -> [SettledBallot] {
        guard world.mutation == .swapsAnswers else { return settled }
        var swapped = settled
        for (index, ballot) in settled.reversed().enumerated() {
            swapped[index].outcome = ballot.outcome
        }
        return swapped
    }

    func mutate(_ tally: Tally) -> Tally {
        guard world.mutation == .believesTheLast else { return tally }
        var tally = tally
        tally.revision = max(tally.revision, (lastTallies[tally.pollID]?.revision ?? 0) + 1)
        lastTallies[tally.pollID] = tally
        return tally
    }
}

// MARK: The weather

extension Site {
    /// All that goes wrong, for as long as the plan says.
    func beginStorm() {
        isStormy = true
        let wild = plan.wildness
        if wild == 0 { return }
        pace.stalls = 0.02 * wild
        faults.refused = 0.03 * wild
        faults.lost = 0.03 * wild
        // An SQLite commit whose answer is lost has not happened for the process that asked.
        let answerLost = world.chance.pick([0.05, 0.05, 0.4])
        faults.answerLost = plan.store == .sqlite ? 0 : answerLost * wild
        bus.loses = 0.2 * wild
        bus.doubles = 0.1 * wild
        bus.delays = 0.2 * wild
        if world.chance.happens(0.3 * wild) { pace.commitMilliseconds = 5...120 }
        for _ in 0..<world.chance.number(in: 0...Int(5 * wild)) {
            let within = Double(plan.stormNanoseconds) / 1_000_000
            let begin = world.chance.milliseconds(0...within)
            let duration = world.chance.milliseconds(10...1_200)
            let what = world.chance.number(in: 0...7)
            world.after(begin) { [self] in strike(what, for: duration) }
        }
    }

    private func strike(_ what: Int, for duration: Int64) {
        if !isStormy { return }
        switch what {
        case 0, 1: kill(world.chance.number(in: 0...gateways.count - 1))
        case 2:
            world.tell("the database is away")
            faults.isDown = true
            world.after(duration) { [self] in faults.isDown = false }
        case 3:
            world.tell("the bus is away")
            bus.setDown(true)
            world.after(duration) { [self] in bus.setDown(false) }
        case 4:
            world.tell("the bus is mute")
            bus.isMute = true
            world.after(duration) { [self] in bus.isMute = false }
        case 5, 6:
            world.tell("a way to the database is slow")
            world.chance.pick(gateways).slowCommits(until: world.now + duration)
        default:
            let gateway = world.chance.pick(gateways)
            world.tell("a loop stalls")
            for loop in gateway.loops where world.chance.happens(0.7) {
                loop.isStalledUntil = world.now + duration
            }
        }
    }

    func endStorm() {
        world.tell("the storm is over")
        isStormy = false
        stormEndedAt = world.now
        pace.stalls = 0
        pace.commitMilliseconds = 0.5...4
        faults.refused = 0
        faults.lost = 0
        faults.answerLost = 0
        faults.isDown = false
        bus.loses = 0
        bus.doubles = 0
        bus.delays = 0
        bus.isMute = false
        bus.setDown(false)
    }
}

// MARK: What may be said

extension Site {
    enum Audience { case everybody, voter, host }

    func shows(_ poll: Poll, to audience: Audience) -> Bool {
        switch audience {
        case .host: true
        case .voter: poll.results != .afterClose || poll.closedAt != nil
        case .everybody: poll.results == .live || poll.closedAt != nil
        }
    }

    /// Whether counts of this revision may be shown. What its host has hidden since, or was about to,
    /// may be shown until the gateways have heard of it.
    func maySee(_ poll: Poll, of life: Witness.Life, as audience: Audience) -> Bool {
        if shows(poll, to: audience) { return true }
        let isSettled = !isStormy && world.now - stormEndedAt > 2_500_000_000
        return !isSettled && life.history.values.contains { shows($0, to: audience) }
    }

    func stateName(_ poll: Poll) -> String { poll.state.rawValue }

    /// By the database's clock.
    func isPastEnd(_ poll: Poll) -> Bool {
        poll.endTime.map { world.unixMilliseconds + plan.skew >= $0 } ?? false
    }

    /// Whether a gateway may say that there is no such poll: it is gone, or so young that one may
    /// have asked for it before.
    func mayBeUnknown(_ id: PollID) -> Bool {
        guard let life = witness.lives[id] else { return true }
        return life.deletedAt != nil || world.now - life.createdAt < 3_000_000_000
    }
}

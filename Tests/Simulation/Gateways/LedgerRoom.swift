import Ledger
import Polls
import Store
import Telemetry

/// A ledger as its threads would drive it: each step takes its time, and the gateway may die between
/// any two.
final class LedgerRoom: @unchecked Sendable {
    private let world: World
    private let settling: Settling
    private let connection: LedgerConnection
    private let pace: Pace
    private let isAlive: () -> Bool
    private var step: Settling.Step
    /// What is sent until then is long on its way to the database.
    var isSlowUntil: Int64 = 0
    /// Waits for ballots; a number for each time it began to.
    private var isTaking = false
    private var takeNumber = 0

    init(
        _ world: World, settings: LedgerSettings, connection: LedgerConnection, pace: Pace,
        log: Log, isAlive: @escaping () -> Bool,
        settled: @escaping @Sendable ([SettledBallot]) -> Void,
        happened: @escaping @Sendable (PollEvent) -> Void
    ) {
        self.world = world
        self.connection = connection
        self.pace = pace
        self.isAlive = isAlive
        let health = Health(of: "storage", log: log) { world.now }
        settling = Settling(
            settings: settings, health: health, log: log, settled: settled, happened: happened)
        step = settling.begin(at: world.now)
        advance()
        watch()
    }

    func enqueue(_ ballot: Ballot) -> Bool {
        guard settling.enqueue(ballot, at: world.now) else { return false }
        if isTaking { take(after: pace.thread(world)) }
        return true
    }

    /// The thread of the limit.
    private func watch() {
        world.after(world.chance.milliseconds(20...80)) { [self] in
            if !isAlive() { return }
            settling.expire(at: world.now)
            watch()
        }
    }

    private func advance() {
        if !isAlive() { return }
        switch step {
        case .take(let deadline):
            isTaking = true
            takeNumber += 1
            if settling.count > 0 {
                take(after: pace.thread(world))
            } else if let deadline {
                take(after: deadline - world.now)
            }
        case .attempt(let waiting): attempt(waiting)
        case .probe:
            world.after(pace.commit(world)) { [self] in
                step = settling.probed(connection.settle(WaitingBallots()), at: world.now)
                advance()
            }
        case .rest(let deadline):
            world.at(deadline) { [self] in
                if !isAlive() { return }
                step = settling.rested(at: world.now)
                advance()
            }
        case .end: break
        }
    }

    private func take(after delay: Int64) {
        world.after(delay) { [self, takeNumber] in
            guard isAlive(), isTaking, takeNumber == self.takeNumber else { return }
            isTaking = false
            step = settling.took(settling.queue.takeAll(until: 0), at: world.now)
            advance()
        }
    }

    private func attempt(_ waiting: WaitingBallots) {
        if world.mutation == .answersBeforeCommit {
            let outcomes = waiting.ballots.map { _ in BallotOutcome.counted(revision: 1) }
            let settlement = Settlement(outcomes: outcomes, tallies: [])
            step = settling.attempted(.success(settlement), at: world.now, random: 0)
            world.after(pace.commit(world)) { [self] in
                if isAlive() { _ = connection.settle(waiting) }
            }
            return advance()
        }
        let delay = world.now < isSlowUntil ? pace.stall(world) : pace.commit(world)
        world.after(delay) { [self] in
            // What was sent before a gateway died may be committed all the same, where there is
            // still somebody to commit it.
            if !isAlive(), !connection.outlivesGateway || world.chance.happens(0.5) { return }
            let result = connection.settle(waiting)
            world.after(pace.answer(world)) { [self] in
                if !isAlive() { return }
                step = settling.attempted(
                    result, at: world.now, random: .random(in: 0...1, using: &world.chance))
                advance()
            }
        }
    }
}

/// How long things take, from one seed to the next and from one moment to the next.
final class Pace: @unchecked Sendable {
    var commitMilliseconds = 0.5...4.0
    /// Chance that a commit, or a thread that has something to say, is very late.
    var stalls = 0.0
    var stallMilliseconds = 200.0...3_000.0

    func thread(_ world: World) -> Int64 { delay(world, 0.01...0.5) }
    func answer(_ world: World) -> Int64 { delay(world, 0.05...1) }
    func commit(_ world: World) -> Int64 { delay(world, commitMilliseconds) }
    func stall(_ world: World) -> Int64 { world.chance.milliseconds(stallMilliseconds) }

    private func delay(_ world: World, _ usual: ClosedRange<Double>) -> Int64 {
        world.chance.milliseconds(world.chance.happens(stalls) ? stallMilliseconds : usual)
    }
}

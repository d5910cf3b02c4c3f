import Catalogue
import Identity
import Polls
import Store
import Telemetry

/// A catalogue as its thread would drive it. What it has to say leaves a little later, in order: until
/// then the thread may lose its core, or the gateway its life.
final class CatalogueRoom: @unchecked Sendable {
    private let world: World
    private let requests = RequestQueue(limit: 256)
    private let pace: Pace
    private let isAlive: () -> Bool
    private var clerk: Clerk!
    private var said: [() -> Void] = []
    private var isWorking = false
    private var nextLook: Int64 = .max

    init(
        _ world: World, store: any CatalogueStore, pace: Pace, log: Log,
        makeJoinCode: @escaping @Sendable () -> String, isAlive: @escaping () -> Bool,
        answered: @escaping @Sendable (CatalogueReply) -> Void,
        happened: @escaping @Sendable (PollEvent) -> Void
    ) {
        self.world = world
        self.pace = pace
        self.isAlive = isAlive
        let settings = CatalogueSettings()
        clerk = Clerk(
            settings: settings, store: store,
            health: Health(of: "storage for polls", log: log) { world.now }, log: log,
            now: { world.now },
            makeHostKey: {
                let key = HostKey.generate()
                return (key, Array(key.utf8).withUnsafeBytes { HostKey.hash(of: $0) })
            },
            makeJoinCode: makeJoinCode,
            random: { .random(in: 0...1, using: &world.chance) },
            replies: Replies(settings: settings, now: { world.now }) { [unowned self] reply in
                said.append { answered(reply) }
            },
            happened: { [unowned self] event in said.append { happened(event) } })
        look(at: world.now)
    }

    func ask(_ request: CatalogueRequest, _ ticket: Ticket) -> Bool {
        let asked = Asked(request: request, ticket: ticket, at: world.now)
        guard requests.append(asked) else { return false }
        look(at: world.now + pace.thread(world))
        return true
    }

    private func look(at time: Int64) {
        if isWorking || time >= nextLook { return }
        nextLook = time
        world.at(time) { [self] in
            guard isAlive(), nextLook == time else { return }
            nextLook = .max
            isWorking = true
            world.after(pace.commit(world)) { [self] in work() }
        }
    }

    private func work() {
        if !isAlive() { return }
        switch requests.take(upTo: world.chance.number(in: 1...8), until: 0) {
        case .requests(let asked): clerk.work(on: asked)
        case .nothing, .closed: clerk.work(on: [])
        }
        world.after(pace.answer(world)) { [self] in
            if !isAlive() { return }
            let said = said
            self.said = []
            for say in said { say() }
            isWorking = false
            look(at: requests.count > 0 ? world.now : max(world.now, clerk.transitionsAt))
        }
    }

    /// Breaks the ring of rooms and closures.
    func end() { clerk = nil }
}

import CDrivenLoop
import Gateway
import Reactor

/// A loop with its front door, turned by hand when there is something for it, and the clients that
/// are connected to it.
final class LoopRoom: @unchecked Sendable {
    private let world: World
    private var loop: Loop!
    private var gateway: Gateway!
    let inbox: Inbox<LoopMessage>
    private var wires: [Wire] = []
    private var nextTurn: Int64?
    private var turnNumber = 0
    private var nextTick: Int64
    /// Until then it does nothing: the machine is busy with others.
    var isStalledUntil: Int64 = 0
    private(set) var hasEnded = false

    private static let tickNanoseconds: Int64 = 100_000_000

    init(
        _ world: World, index: Int, settings: GatewaySettings, loopSettings: LoopSettings,
        doors: Doors, shared: Shared, budget: ConnectionBudget
    ) throws(ReactorError) {
        self.world = world
        gateway = Gateway(loopIndex: index, settings: settings, doors: doors, shared: shared)
        loop = try Loop(settings: loopSettings, budget: budget, handler: gateway)
        inbox = gateway.attach(to: loop)
        nextTick = world.now + world.chance.milliseconds(1...100)
        ps_driven_begin(loop.handle, UInt64(world.now), world.unixMilliseconds)
        turn(at: nextTick)
    }

    /// Everything is gone at once, without a word to anybody.
    func end() {
        hasEnded = true
        // The front door goes before its loop, which it holds.
        loop = nil
        gateway = nil
        Wire.scheduleReads(of: wires)
        wires = []
    }

    func connect() -> Wire? {
        if hasEnded { return nil }
        let descriptor = ps_driven_connect(loop.handle)
        if descriptor < 0 { return nil }
        let wire = Wire(world, descriptor, to: self)
        wires.append(wire)
        return wire
    }

    func put(_ message: LoopMessage) {
        if hasEnded { return }
        inbox.append(message)
        wake()
    }

    /// There is something to do, and soon it will be done.
    func wake() { turn(at: world.now + world.chance.milliseconds(0.02...1)) }

    private func turn(at time: Int64) {
        let time = max(time, isStalledUntil)
        if hasEnded || nextTurn.map({ $0 <= time }) ?? false { return }
        nextTurn = time
        turnNumber += 1
        world.at(time) { [self, turnNumber] in
            // A turn that was asked for later, and comes earlier, takes its place.
            if turnNumber == self.turnNumber { turn() }
        }
    }

    private func turn() {
        if hasEnded { return }
        nextTurn = nil
        if world.now < isStalledUntil { return turn(at: isStalledUntil) }
        let ticks = world.now >= nextTick
        while nextTick <= world.now { nextTick += Self.tickNanoseconds }
        world.count("turns")
        let isRestless = ps_driven_turn(
            loop.handle, UInt64(world.now), world.unixMilliseconds, ticks)
        turn(at: nextTick)
        let due = ps_driven_due_ns(loop.handle)
        if due < UInt64(Int64.max) { turn(at: Int64(due)) }
        if isRestless { turn(at: world.now + 10_000) }
        wires.removeAll { $0.isClosed }
        Wire.scheduleReads(of: wires)
    }
}

import Foundation
import Identity
import Polls

@testable import Gateway
@testable import Reactor

/// Loops with gateways on threads of their own, and `Rooms` behind them. Paths lead straight to the
/// live half; who comes is told by a `voter` and a `host_key` parameter of the query.
final class TestFront {
    let rooms = Rooms()
    let shared = Shared(secrets: .forTests)
    private(set) var ports: [UInt16] = []
    private var finished: [DispatchSemaphore] = []
    private var isStopped = false

    init(
        loops: Int = 1, tickNanoseconds: UInt64 = 5_000_000, settings: GatewaySettings = .init(),
        polls: [PollRecord] = []
    ) {
        for poll in polls { rooms.add(poll) }
        for index in 0..<loops { start(index, tickNanoseconds, settings) }
    }

    deinit { stop() }

    func stop() {
        if isStopped { return }
        isStopped = true
        rooms.tellAll(.stop)
        for semaphore in finished { semaphore.wait() }
    }

    private func start(_ index: Int, _ tickNanoseconds: UInt64, _ settings: GatewaySettings) {
        let (rooms, shared) = (rooms, shared)
        let started = DispatchSemaphore(value: 0)
        let ended = DispatchSemaphore(value: 0)
        let port = PortBox()
        Thread.detachNewThread {
            // Outlives the loop, which ends with `serve`.
            let budget = ConnectionBudget(connectionLimit: 1_000)
            do {
                try Self.serve(
                    Gateway(
                        loopIndex: index, settings: settings, doors: rooms.doors, shared: shared),
                    index, tickNanoseconds, budget, rooms
                ) {
                    port.value = $0
                    started.signal()
                }
            } catch {
                fatalError("cannot start a loop: \(error)")
            }
            withExtendedLifetime(budget) {}
            ended.signal()
        }
        started.wait()
        ports.append(port.value)
        finished.append(ended)
    }
}

extension TestFront {
    private static func serve(
        _ gateway: Gateway, _ index: Int, _ tickNanoseconds: UInt64,
        _ budget: ConnectionBudget, _ rooms: Rooms, started: (UInt16) -> Void
    ) throws {
        let handler = TestHandler(gateway)
        var settings = LoopSettings()
        settings.tickNanoseconds = tickNanoseconds
        let loop = try Loop(settings: settings, budget: budget, handler: handler)
        rooms.open(gateway.attach(to: loop), of: index)
        started(try loop.listen(address: "127.0.0.1", port: 0, kind: .publicAPI))
        loop.run()
        rooms.close(loop: index)
        withExtendedLifetime(handler) {}
    }
}

extension Secrets {
    static let forTests = Secrets(
        hasher: IdentityHasher(key: Array(repeating: 7, count: 32)),
        tokens: VoterTokenSigner(key: Array(repeating: 8, count: 32)),
        seal: RelaySeal(key: Array(repeating: 7, count: 32)))
}

/// Written before a semaphore is signalled, read after it was waited for.
private final class PortBox: @unchecked Sendable {
    var value: UInt16 = 0
}

/// Stands where the router will: everything else is the gateway's own.
private final class TestHandler: LoopHandler {
    private let gateway: Gateway

    init(_ gateway: Gateway) { self.gateway = gateway }

    func loop(_ loop: Loop, received request: borrowing Request, on connection: ConnectionID) {
        let path = String(decoding: request.path, as: UTF8.self)
        let parts = path.split(separator: "/").map(String.init)
        var parameters: [String: String] = [:]
        for pair in String(decoding: request.query, as: UTF8.self).split(separator: "&") {
            let sides = pair.split(separator: "=").map(String.init)
            if sides.count == 2 { parameters[sides[0]] = sides[1] }
        }
        let viewer = Viewer(
            identity: parameters["voter"].flatMap(UInt64.init).map {
                .token(VoterToken.ID(high: 1, low: $0))
            },
            presentedHostKeyHash: parameters["host_key"].map { HostKey.hash($0) })
        let since = parameters["since"].flatMap(Int64.init)
        let exchange = Exchange(request, on: connection, of: gateway)
        switch (parts.first, parts.count) {
        case ("ws", 1):
            gateway.beginLive(
                exchange, subscribe: nil, since: nil, viewer: viewer, fields: [])
        case ("ws", 2):
            gateway.beginEcho(exchange)
        case ("ws", _):
            gateway.beginLive(
                exchange, subscribe: PollID(Int64(parts[2])!), since: since, viewer: viewer,
                fields: [])
        default:
            gateway.beginEvents(
                request, exchange, poll: PollID(Int64(parts[1])!)!, viewer: viewer,
                lastEventID: since, fields: [])
        }
    }

    func loop(_ loop: Loop, refused connection: ConnectionID, sequence: UInt32, status: Int) {
        gateway.loop(loop, refused: connection, sequence: sequence, status: status)
    }

    func loop(_ loop: Loop, received message: Message, on connection: ConnectionID) {
        gateway.loop(loop, received: message, on: connection)
    }

    func loop(_ loop: Loop, isWritable connection: ConnectionID) {
        gateway.loop(loop, isWritable: connection)
    }

    func loop(_ loop: Loop, closed connection: ConnectionID) {
        gateway.loop(loop, closed: connection)
    }

    func loopDidWake(_ loop: Loop) { gateway.loopDidWake(loop) }

    func loopDidTick(_ loop: Loop, nowNanoseconds: UInt64) {
        gateway.loopDidTick(loop, nowNanoseconds: nowNanoseconds)
    }
}

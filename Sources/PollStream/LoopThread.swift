import Gateway
import Reactor
import Threads

/// A loop, the front door on it, and the thread that runs both.
final class LoopThread: @unchecked Sendable {
    // `loop` and `gateway` belong to the thread once it runs; `inbox` and `statistics` are for any.
    private let loop: Loop
    private let gateway: Gateway
    private let index: Int
    private var thread: Thread?
    let inbox: Inbox<LoopMessage>
    let statistics: StatisticsReader
    let gatewayStatistics: GatewayStatistics

    init(index: Int, settings: LoopSettings, budget: ConnectionBudget, gateway: Gateway)
        throws(ReactorError)
    {
        self.index = index
        self.gateway = gateway
        loop = try Loop(settings: settings, budget: budget, handler: gateway)
        inbox = gateway.attach(to: loop)
        statistics = loop.statistics
        gatewayStatistics = gateway.statistics
    }

    /// Makes sure that no other process listens there.
    func probe(_ address: ListenAddress) throws(ReactorError) {
        if address.port != 0 { try loop.probe(address: address.host, port: address.port) }
    }

    /// Before `start`. - Returns: the port, picked where `address` names none.
    func listen(_ address: ListenAddress, kind: ListenerKind) throws(ReactorError) -> UInt16 {
        try loop.listen(address: address.host, port: address.port, kind: kind)
    }

    func start() {
        thread = Thread(name: "loop \(index)") { [self] in loop.run() }
    }

    /// Ends the loop and waits for its thread. Connections are closed at once.
    func stop() {
        inbox.append(.stop)
        thread?.join()
        thread = nil
    }
}

/// Listens and says nothing: `pollstream check` tries addresses with it.
final class DeafHandler: LoopHandler {
    func loop(_ loop: Loop, received request: borrowing Request, on connection: ConnectionID) {}
    func loop(_ loop: Loop, refused connection: ConnectionID, sequence: UInt32, status: Int) {}
    func loop(_ loop: Loop, received message: Message, on connection: ConnectionID) {}
    func loop(_ loop: Loop, isWritable connection: ConnectionID) {}
    func loop(_ loop: Loop, closed connection: ConnectionID) {}
    func loopDidWake(_ loop: Loop) {}
    func loopDidTick(_ loop: Loop, nowNanoseconds: UInt64) {}
}

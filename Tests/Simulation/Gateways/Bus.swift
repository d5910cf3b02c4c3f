import Relay

/// What Redis is to the gateways: channels, without a promise. Messages are lost, doubled, late and
/// out of order, connections break, and all of it may be away.
final class Bus: @unchecked Sendable {
    /// Chances, of each message to each who listens.
    var loses = 0.0
    var doubles = 0.0
    var delays = 0.0
    /// Nobody can connect or publish.
    private(set) var isDown = false
    /// It takes what is published, and nobody hears it.
    var isMute = false

    private let world: World
    private var connections: [Connection] = []

    init(_ world: World) { self.world = world }

    func setDown(_ isDown: Bool) {
        self.isDown = isDown
        if isDown { breakConnections() }
    }

    func breakConnections() {
        for connection in connections { connection.breakOff() }
        connections = []
    }

    func end() { connections = [] }

    func connect(onReadable: @escaping () -> Void) -> Connection? {
        if isDown { return nil }
        let connection = Connection(world, onReadable)
        connections.append(connection)
        return connection
    }

    /// - Returns: whether it was taken.
    func publish(_ message: [UInt8], to channel: [UInt8]) -> Bool {
        if isDown { return false }
        connections.removeAll { $0.isBroken }
        for connection in connections where connection.channels.contains(channel) {
            if isMute || world.chance.happens(loses) {
                world.count("messages lost")
                continue
            }
            let reply = RedisConnection.Reply.list([
                .bytes(Array("message".utf8)), .bytes(channel), .bytes(message),
            ])
            for _ in 0...(world.chance.happens(doubles) ? 1 : 0) {
                connection.deliver(reply, isLate: world.chance.happens(delays))
            }
        }
        return true
    }

    final class Connection {
        private let world: World
        private let onReadable: () -> Void
        fileprivate(set) var channels: Set<[UInt8]> = []
        private var arrived: [RedisConnection.Reply] = []
        /// What was sent in order arrives in order.
        private var lastArrival: Int64 = 0
        private(set) var isBroken = false

        fileprivate init(_ world: World, _ onReadable: @escaping () -> Void) {
            self.world = world
            self.onReadable = onReadable
        }

        func subscribe(_ names: [[UInt8]]) {
            for name in names {
                channels.insert(name)
                deliver(
                    .list([.bytes(Array("subscribe".utf8)), .bytes(name), .integer(1)]),
                    isLate: false)
            }
        }

        func unsubscribe(_ names: [[UInt8]]) { channels.subtract(names) }

        func ping() { deliver(.list([.bytes(Array("pong".utf8)), .bytes([])]), isLate: false) }

        func read() -> [RedisConnection.Reply] {
            defer { arrived = [] }
            return arrived
        }

        func close() {
            isBroken = true
            channels = []
        }

        fileprivate func breakOff() {
            isBroken = true
            onReadable()
        }

        fileprivate func deliver(_ reply: RedisConnection.Reply, isLate: Bool) {
            var time = max(lastArrival, world.now + world.chance.milliseconds(0.05...2))
            if isLate {
                time += world.chance.milliseconds(1...1_500)
            } else {
                lastArrival = time
            }
            world.at(time) { [self] in
                if isBroken { return }
                arrived.append(reply)
                onReadable()
            }
        }
    }
}

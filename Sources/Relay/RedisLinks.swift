/// The connections of one thread to a Redis: to the one server, or to those nodes of a Redis Cluster
/// that it has something to say to. In a cluster pub/sub is sharded (Redis 7, `SPUBLISH`): a channel
/// belongs to a slot, a slot to a node, and no node hears of what is said on another.
///
/// The map of slots is read once. Where it has changed since, the server says so, and then all links
/// are thrown away and made anew.
final class RedisLinks {
    /// Where else to ask for the map while the target does not answer: the nodes of the last one.
    struct Seeds {
        fileprivate(set) var known: [RedisTarget] = []
    }

    /// nil: one server.
    private let map: SlotMap?
    /// By node; the one server is node 0.
    private(set) var connections: [Int: RedisConnection] = [:]

    init(_ target: RedisTarget, seeds: inout Seeds) throws(RedisConnection.Failure) {
        var first: RedisConnection.Failure?
        var asked: (connection: RedisConnection, target: RedisTarget)?
        for candidate in [target] + seeds.known {
            do throws(RedisConnection.Failure) {
                asked = (try RedisConnection(candidate), candidate)
                break
            } catch {
                first = first ?? error
            }
        }
        guard let asked else { throw first ?? RedisConnection.Failure(reason: "no server") }
        try asked.connection.append([Array("CLUSTER".utf8), Array("SLOTS".utf8)])
        try asked.connection.flush()
        switch try asked.connection.reply() {
        case .list(let ranges):
            let map = try SlotMap(ranges, asking: asked.target)
            self.map = map
            seeds.known = map.nodes
        default:
            // Not a cluster, or not one whose commands we may use: pub/sub of any node reaches all.
            map = nil
            connections[0] = asked.connection
        }
    }

    var isSharded: Bool { map != nil }

    /// The names of the commands that this Redis wants.
    var publish: [UInt8] { Array((isSharded ? "SPUBLISH" : "PUBLISH").utf8) }
    var subscribe: [UInt8] { Array((isSharded ? "SSUBSCRIBE" : "SUBSCRIBE").utf8) }
    var unsubscribe: [UInt8] { Array((isSharded ? "SUNSUBSCRIBE" : "UNSUBSCRIBE").utf8) }

    /// Which node has this channel; connected by the first who asks.
    func node(of channel: [UInt8]) throws(RedisConnection.Failure) -> Int {
        guard let map else { return 0 }
        let node = try map.node(of: channel)
        if connections[node] == nil { connections[node] = try RedisConnection(map.nodes[node]) }
        return node
    }

    /// What a server says where it is no longer, or not yet, the channel's.
    static func isElsewhere(_ error: String) -> Bool {
        ["MOVED", "ASK", "CLUSTERDOWN", "TRYAGAIN"].contains { error.hasPrefix($0 + " ") }
    }
}

/// Which node has which of the 16,384 slots (Redis Cluster Specification, "Key distribution model").
struct SlotMap {
    static let slotCount = 16_384
    /// As many masters as a cluster is made for.
    private static let nodeLimit = 1_000

    private(set) var nodes: [RedisTarget] = []
    /// Of each slot; -1 where no node has it.
    private var nodeOfSlot = [Int16](repeating: -1, count: slotCount)

    /// - Parameters:
    ///   - ranges: the answer to `CLUSTER SLOTS`.
    ///   - target: who answered it; the others have the same password.
    init(_ ranges: [RedisConnection.Reply], asking target: RedisTarget)
        throws(RedisConnection.Failure)
    {
        let nonsense = RedisConnection.Failure(reason: "it tells no slots of its cluster")
        for range in ranges {
            guard case .list(let parts) = range, parts.count >= 3,
                case .integer(let first) = parts[0], case .integer(let last) = parts[1],
                first >= 0, first <= last, last < Int64(Self.slotCount),
                case .list(let master) = parts[2], master.count >= 2,
                case .integer(let port) = master[1], (1...65_535).contains(port)
            else { throw nonsense }
            var node = target
            // Without a name it is the server that was asked.
            if case .bytes(let name) = master[0], !name.isEmpty {
                node.address = .host(String(decoding: name, as: UTF8.self), port: Int32(port))
            } else if case .host(let host, _) = target.address {
                node.address = .host(host, port: Int32(port))
            }
            let index: Int
            if let known = nodes.firstIndex(of: node) {
                index = known
            } else {
                index = nodes.count
                guard index < Self.nodeLimit else { throw nonsense }
                nodes.append(node)
            }
            for slot in Int(first)...Int(last) { nodeOfSlot[slot] = Int16(index) }
        }
        guard !nodes.isEmpty else { throw nonsense }
    }

    func node(of channel: [UInt8]) throws(RedisConnection.Failure) -> Int {
        let node = Int(nodeOfSlot[Self.slot(of: channel)])
        guard node >= 0 else {
            throw RedisConnection.Failure(reason: "no node of the cluster has the channel's slot")
        }
        return node
    }

    /// CRC-16 (XMODEM) of the name; ours have no braces, which would limit it to what is inside.
    static func slot(of channel: [UInt8]) -> Int {
        var crc: UInt16 = 0
        for byte in channel {
            crc ^= UInt16(byte) << 8
            for _ in 0..<8 { crc = crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
        }
        return Int(crc) % slotCount
    }
}

import Testing

@testable import Relay

struct SlotMapTests {
    typealias Reply = RedisConnection.Reply

    private let target: RedisTarget

    init() throws { target = try RedisTarget(url: "redis://ada:secret@seed:7000") }

    private func range(_ first: Int64, _ last: Int64, _ host: String, _ port: Int64) -> Reply {
        .list([
            .integer(first), .integer(last),
            .list([.bytes(Array(host.utf8)), .integer(port), .bytes(Array("id".utf8))]),
            .list([.bytes(Array("replica".utf8)), .integer(1)]),
        ])
    }

    @Test func `a channel's slot is that of the specification`() {
        // The check value of CRC-16/XMODEM is 0x31C3; the others are CLUSTER KEYSLOT's.
        #expect(SlotMap.slot(of: Array("123456789".utf8)) == 0x31C3)
        #expect(SlotMap.slot(of: Array("foo".utf8)) == 12182)
        #expect(SlotMap.slot(of: Array("bar".utf8)) == 5061)
        #expect(SlotMap.slot(of: []) == 0)
    }

    @Test func `slots have masters, with the target's password`() throws {
        let map = try SlotMap(
            [
                range(0, 5_000, "", 7_000), range(5_001, 12_000, "10.0.0.2", 7_001),
                range(12_001, 16_383, "", 7_000),
            ], asking: target)
        #expect(map.nodes.map(\.description) == ["redis://seed:7000", "redis://10.0.0.2:7001"])
        #expect(map.nodes.allSatisfy { $0.user == "ada" && $0.password == "secret" })
        #expect(try map.node(of: Array("foo".utf8)) == 0)
        #expect(try map.node(of: Array("bar".utf8)) == 1)
    }

    @Test func `a slot without a node is a failure`() throws {
        let map = try SlotMap([range(0, 10, "h", 1)], asking: target)
        #expect(throws: RedisConnection.Failure.self) { try map.node(of: Array("foo".utf8)) }
    }

    @Test func `nonsense is refused`() {
        let bad: [[Reply]] = [
            [], [.none], [.list([])], [range(-1, 5, "h", 1)], [range(5, 4, "h", 1)],
            [range(0, 16_384, "h", 1)], [range(0, 1, "h", 0)], [range(0, 1, "h", 65_536)],
            [.list([.integer(0), .integer(1), .list([.integer(7)])])],
        ]
        for ranges in bad {
            #expect(throws: RedisConnection.Failure.self) {
                try SlotMap(ranges, asking: target)
            }
        }
    }

    @Test func `words of a node that has not the slot`() {
        for word in ["MOVED 3999 127.0.0.1:6381", "ASK 1 h:1", "CLUSTERDOWN Hash slot not served"] {
            #expect(RedisLinks.isElsewhere(word))
        }
        #expect(!RedisLinks.isElsewhere("OOM command not allowed"))
        #expect(!RedisLinks.isElsewhere("MOVEDX"))
    }
}

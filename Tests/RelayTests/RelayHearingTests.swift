import Identity
import Polls
import Testing

@testable import Relay

/// When a subscriber takes its connection for dead.
@Suite struct RelayHearingTests {
    private let seal = RelaySeal(key: Array(repeating: 7, count: 32))
    private let node = NodeID(rawValue: 1)
    private let milliseconds: Int64 = 1_000_000

    private func hearing() throws -> RelayHearing {
        let settings = RelaySettings(target: try RedisTarget(url: "redis://nowhere"))
        return RelayHearing(RelayStation(settings: settings, node: node, seal: seal), at: 0)
    }

    private func message(_ message: RelayMessage, from sender: NodeID) -> RedisConnection.Reply {
        .list([
            .bytes(Array("message".utf8)), .bytes(RelayChannels(seal).polls),
            .bytes(message.encoded(by: sender, with: seal)),
        ])
    }

    private func isDead(
        _ hearing: inout RelayHearing, at time: Int64, isPublishing: Bool = true
    ) -> Bool {
        do {
            try hearing.expectWords(of: [0], isPublishing: isPublishing, at: time)
            return false
        } catch { return true }
    }

    @Test func `a node of Redis that says nothing for three seconds is gone`() throws {
        var hearing = try hearing()
        hearing.noteWord(of: 0, at: 0)
        #expect(!isDead(&hearing, at: 2_900 * milliseconds, isPublishing: false))
        #expect(isDead(&hearing, at: 3_100 * milliseconds, isPublishing: false))
    }

    /// As behind a link that lets through one way alone, or where Redis has lost the subscription.
    @Test func `a Redis that answers and does not pass on our own words is left`() throws {
        var hearing = try hearing()
        for second in 1...2 {
            hearing.noteWord(of: 0, at: Int64(second) * 1_000 * milliseconds)
            #expect(try !hearing.takeNews(at: Int64(second) * 1_000 * milliseconds).isAlive)
        }
        hearing.noteWord(of: 0, at: 2_900 * milliseconds)
        #expect(!isDead(&hearing, at: 2_900 * milliseconds))
        #expect(isDead(&hearing, at: 3_100 * milliseconds))
    }

    @Test func `our own word counts for three seconds more, another's for nothing`() throws {
        var hearing = try hearing()
        hearing.take(message(.alive, from: node)) { _ in true }
        #expect(try hearing.takeNews(at: 2_000 * milliseconds).isAlive)
        hearing.noteWord(of: 0, at: 4_900 * milliseconds)
        hearing.take(message(.alive, from: NodeID(rawValue: 2))) { _ in true }
        #expect(try !hearing.takeNews(at: 4_900 * milliseconds).isAlive)
        #expect(!isDead(&hearing, at: 4_900 * milliseconds))
        #expect(isDead(&hearing, at: 5_100 * milliseconds))
    }

    @Test func `while nothing can be said, silence says nothing`() throws {
        var hearing = try hearing()
        for second in 1...10 {
            let time = Int64(second) * 1_000 * milliseconds
            hearing.noteWord(of: 0, at: time)
            #expect(!isDead(&hearing, at: time, isPublishing: false))
        }
        // Three seconds from when it could be said again.
        hearing.noteWord(of: 0, at: 12_900 * milliseconds)
        #expect(!isDead(&hearing, at: 12_900 * milliseconds))
        #expect(isDead(&hearing, at: 13_100 * milliseconds))
    }
}

import Polls
import TestRandom
import Testing

@testable import Gateway
@testable import Reactor

@Suite struct BoardTableTests {
    private func table(idle: Int = 3, unknown: Int = 3) -> BoardTable {
        var settings = GatewaySettings()
        settings.idleBoardCount = idle
        settings.unknownPollCount = unknown
        settings.unknownPollMilliseconds = 1
        return BoardTable(settings: settings)
    }

    private func insert(_ ids: Int64..., into table: inout BoardTable) {
        for id in ids {
            let board = Board(makeRecord(id))
            table.insert(board)
            table.settle(board)
        }
    }

    private func isHere(_ id: Int64, _ table: BoardTable) -> Bool {
        table.board(PollID(id)!) != nil
    }

    @Test func `idle boards stay within their bound, and the longest unused goes`() {
        var table = table(idle: 3)
        insert(1, 2, 3, into: &table)
        table.touch(table.board(PollID(1)!)!)
        insert(4, into: &table)
        #expect(table.count == 3)
        #expect(isHere(1, table) && !isHere(2, table) && isHere(3, table) && isHere(4, table))
        for id in Int64(5)..<100 { insert(id, into: &table) }
        #expect(table.count == 3)
        #expect(table.idleCount == 3)
    }

    @Test func `a board that is held stays`() {
        var table = table(idle: 1)
        let held = Board(makeRecord(1))
        held.pinCount = 1
        table.insert(held)
        table.settle(held)
        insert(2, 3, into: &table)
        #expect(isHere(1, table))
        held.pinCount = 0
        table.settle(held)
        #expect(isHere(1, table) && !isHere(3, table))
    }

    @Test func `unknown ids are remembered for their time and within their bound`() {
        var table = table(unknown: 3)
        let ids = (Int64(1)...4).map { PollID($0)! }
        for id in ids { table.remember(unknown: id, at: 0) }
        #expect(ids.map { table.isUnknown($0, at: 999_999) } == [false, true, true, true])
        #expect(!table.isUnknown(ids[3], at: 1_000_000))
        table.remember(unknown: ids[3], at: 5_000_000)
        table.forget(unknown: ids[3])
        #expect(!table.isUnknown(ids[3], at: 5_000_000))
    }

    @Test func `unknown ids stay within their bound whatever is forgotten between`() {
        var unknown = UnknownPolls(limit: 8, nanoseconds: 1)
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<10_000 {
            let id = PollID(Int64.random(in: 1...20, using: &random))!
            if Bool.random(using: &random) {
                unknown.insert(id, at: 0)
                #expect(unknown.contains(id, at: 0), "seed \(seed)")
            } else {
                unknown.remove(id)
            }
            #expect(unknown.count <= 8, "seed \(seed)")
        }
    }

    @Test func `known ballots stay within their bound and the newest are known`() {
        var known = KnownBallots(limit: 100)
        for number in UInt64(0)..<1_000 {
            known.insert(BallotKey(high: 1, low: number))
            #expect(known.count <= 100)
            for recent in number - min(number, 49)...number {
                #expect(known.contains(BallotKey(high: 1, low: recent)))
            }
        }
    }
}

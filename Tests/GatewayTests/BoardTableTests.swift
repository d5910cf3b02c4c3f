import Polls
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
        var random = SeededRandom(state: seed)
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

@Suite struct ViewerCountsTests {
    @Test func `each source counts for itself, and a poll that nobody watches costs nothing`() {
        let counts = ViewerCounts()
        let poll = PollID(1)!
        #expect(counts.set(3, of: poll, from: 0) == 3)
        #expect(counts.set(4, of: poll, from: 5) == 7)
        #expect(counts.set(1, of: poll, from: 0) == 5)
        #expect(counts.count(of: poll) == 5)
        counts.set(0, of: poll, from: 0)
        #expect(counts.set(0, of: poll, from: 5) == 0)
        #expect(counts.pollCount == 0)
    }
}

@Suite struct DrainingTests {
    private func connections(_ count: Int) -> [ConnectionID] {
        (1...count).map { ConnectionID(UInt64($0)) }
    }

    @Test func `delays fill the time evenly, each connection has its own, none is early`() {
        for count in [3, 10, 1_000] {
            var draining = Draining()
            draining.announce(delayMilliseconds: 0, spreadMilliseconds: 10_000, at: 0)
            let begins = draining.beginClosing(at: 0)
            #expect(begins)
            let all = connections(count)
            var told: [ConnectionID: UInt32] = [:]
            for connection in all { told[connection] = draining.schedule(connection, at: 0) }
            #expect(Set(told.values).count == count)
            #expect(told.values.max()! - told.values.min()! >= 5_000)
            var closed = 0
            for step in UInt64(0)...102 {
                let due = draining.takeDue(at: step * Draining.stepNanoseconds)
                for connection in due { #expect(step * 100 >= told[connection]!) }
                #expect(due.count <= count / 50 + 2)
                closed += due.count
            }
            #expect(closed == count)
        }
    }

    @Test func `all is served for the delay`() {
        var draining = Draining()
        draining.announce(delayMilliseconds: 500, spreadMilliseconds: 1_000, at: 0)
        #expect(draining.isAnnounced && !draining.isClosing)
        let begins = [499_999_999, 500_000_000, 600_000_000].map { draining.beginClosing(at: $0) }
        #expect(begins == [false, true, false])
        #expect(draining.isClosing)
    }

    @Test func `who is owed an answer comes again, also after the last step`() {
        var draining = Draining()
        draining.announce(delayMilliseconds: 0, spreadMilliseconds: 100, at: 0)
        _ = draining.beginClosing(at: 0)
        let connection = ConnectionID(1)
        _ = draining.schedule(connection, at: 0)
        var now: UInt64 = 300_000_000
        var due = draining.takeDue(at: now)
        #expect(due == [connection])
        for _ in 0..<5 {
            draining.postpone(connection)
            now += Draining.stepNanoseconds
            due = draining.takeDue(at: now)
            #expect(due == [connection])
        }
    }

    @Test func `everybody is told within a quarter of the time`() {
        var draining = Draining()
        draining.announce(delayMilliseconds: 0, spreadMilliseconds: 4_000, at: 0)
        _ = draining.beginClosing(at: 0)
        let all = connections(20_000)
        var told: [ConnectionID] = []
        for _ in 0..<11 {
            told += draining.walk(of: all.count) { cursor in
                defer { cursor += 1 }
                return Int(cursor) < all.count ? all[Int(cursor)] : nil
            }
        }
        #expect(told == all)
    }
}

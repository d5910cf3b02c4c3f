import Testing

@testable import Gateway
@testable import Reactor

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

import Polls
import Testing

@testable import Store

struct TransitionsTests {
    @Test(arguments: Backend.allCases)
    func `nothing is due where no poll waits`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        _ = try test.createPoll()
        #expect(try store.millisecondsUntilNextTransition() == nil)
        #expect(try store.makeDueTransitions(limit: 9).isEmpty)
    }

    @Test(arguments: Backend.allCases)
    func `a poll opens and closes when its time has come`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll {
            $0.startsAt = test.clock.now + 100
            $0.endTime = test.clock.now + 250
        }
        #expect(try store.millisecondsUntilNextTransition() == 100)
        test.clock.now += 99
        #expect(try store.makeDueTransitions(limit: 9).isEmpty)
        test.clock.now += 1
        #expect(try store.millisecondsUntilNextTransition() == 0)
        let opened = try store.makeDueTransitions(limit: 9)
        #expect(opened.map(\.1) == [.opened])
        #expect(opened[0].0.poll.state == .open && opened[0].0.poll.startsAt == poll.startsAt)
        #expect(opened[0].0.poll.shownRevision > poll.shownRevision)
        #expect(try store.millisecondsUntilNextTransition() == 150)
        _ = try store.settle([test.ballot(1, in: poll, for: 1)])
        test.clock.now += 200
        #expect(try store.millisecondsUntilNextTransition() == 0)
        let closed = try store.makeDueTransitions(limit: 9)
        #expect(closed.map(\.1) == [.closed])
        #expect(closed[0].0.poll.tally.counts == [0, 1], "the final tally")
        #expect(closed[0].0.poll.closedAt == test.clock.now)
        #expect(try store.millisecondsUntilNextTransition() == nil)
    }

    @Test(arguments: Backend.allCases)
    func `a poll whose time went by unseen opens, then closes`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        _ = try test.createPoll {
            $0.startsAt = test.clock.now + 1
            $0.endTime = test.clock.now + 2
        }
        test.clock.now += 10
        #expect(try store.makeDueTransitions(limit: 9).map(\.1) == [.opened, .closed])
    }

    @Test(arguments: Backend.allCases)
    func `a call makes no more than its limit, the longest due first`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        var ids: [PollID] = []
        for number in 0..<5 {
            ids.insert(
                try test.createPoll { $0.endTime = test.clock.now + 10 - Int64(number) }.id, at: 0)
        }
        test.clock.now += 10
        #expect(try store.makeDueTransitions(limit: 2).map(\.0.poll.id) == Array(ids[..<2]))
        #expect(try store.millisecondsUntilNextTransition() == 0)
        #expect(try store.makeDueTransitions(limit: 9).map(\.0.poll.id) == Array(ids[2...]))
        #expect(try store.makeDueTransitions(limit: 0).isEmpty)
    }

    @Test(arguments: Backend.allCases)
    func `a poll opened or closed by hand is not due again`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let first = try test.createPoll { $0.startsAt = test.clock.now + 1 }
        let second = try test.createPoll { $0.endTime = test.clock.now + 1 }
        _ = try store.open(first.id)
        _ = try store.close(second.id)
        test.clock.now += 10
        #expect(try store.makeDueTransitions(limit: 9).isEmpty)
    }

    @Test(arguments: Backend.allCases, [Int64.min, .max])
    func `a time out of all reason overflows nothing`(on backend: Backend, time: Int64) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll { $0.endTime = test.clock.now + 1 }
        try test.execute("UPDATE tallies SET closes_at = \(time)")
        let wait = try store.millisecondsUntilNextTransition()
        #expect(time == .max ? wait == .max - test.clock.now : wait == 0)
        #expect(
            try store.makeDueTransitions(limit: 9).map(\.0.poll.id) == (time < 0 ? [poll.id] : []))
    }
}

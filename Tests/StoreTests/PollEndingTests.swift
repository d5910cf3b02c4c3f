import Polls
import Testing

@testable import Store

/// Polls open, close and are deleted.
struct PollEndingTests {
    @Test(arguments: Backend.allCases)
    func `opening sets the start to now, once`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll { $0.startsAt = test.clock.now + 1000 }
        test.clock.now += 10
        let (opened, changed) = try store.open(poll.id)
        #expect(changed && opened.poll.state == .open)
        #expect(opened.poll.startsAt == test.clock.now)
        #expect(opened.poll.shownRevision > poll.shownRevision)
        test.clock.now += 10
        let (again, changedAgain) = try store.open(poll.id)
        #expect(!changedAgain && again.poll.shownRevision == opened.poll.shownRevision)
        #expect(again.poll.startsAt == opened.poll.startsAt)
        #expect(try store.settle([test.ballot(1, in: poll, for: 0)]).outcomes[0].isStored)
    }

    @Test(arguments: Backend.allCases)
    func `a poll that is closed or past its end does not open`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let closed = try test.createPoll()
        _ = try store.close(closed.id)
        #expect(throws: StoreError.pollClosed) { try store.open(closed.id) }
        let past = try test.createPoll {
            $0.startsAt = test.clock.now + 100
            $0.endTime = test.clock.now + 200
        }
        test.clock.now += 200
        #expect(throws: StoreError.pollClosed) { try store.open(past.id) }
    }

    @Test(arguments: Backend.allCases)
    func `the final tally never changes`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll()
        let ballots = try store.settle([test.ballot(1, in: poll, for: 0)]).tallies[0]
        let (final, changed) = try store.close(poll.id)
        #expect(changed && final.poll.state == .closed)
        #expect(final.poll.closedAt == test.clock.now)
        #expect(final.poll.tally.counts == ballots.counts)
        #expect(final.poll.tally.revision > ballots.revision)
        #expect(final.poll.shownRevision == final.poll.tally.revision)
        test.clock.now += 1000
        #expect(
            try store.settle([test.ballot(2, in: poll, for: 0)]).outcomes
                == [.rejected(.pollClosed)])
        let (again, changedAgain) = try store.close(poll.id)
        #expect(!changedAgain && again.poll.closedAt == final.poll.closedAt)
        #expect(again.poll.tally.revision == final.poll.tally.revision)
        #expect(try store.makeDueTransitions(limit: 9).isEmpty)
    }

    @Test(arguments: Backend.allCases)
    func `a deleted poll leaves nothing, at a revision above all that was shown`(
        on backend: Backend
    ) throws {
        let test = try TestStore(backend, deleteSlice: 10)
        let store = test.store
        let kept = try test.createPoll()
        let poll = try test.createPoll()
        _ = try store.settle((0..<35).map { test.ballot($0, in: poll, for: 0) })
        _ = try store.settle([test.ballot(1, in: kept, for: 0)])
        let last = try #require(try test.poll(poll.id)).tally.revision
        #expect(try store.delete(poll.id) > last)
        #expect(try store.read([poll.id]) == [nil])
        #expect(try store.find(joinCode: poll.joinCode) == nil)
        #expect(try store.ballots(of: poll.id, after: nil, limit: 9).isEmpty)
        #expect(throws: StoreError.pollNotFound) { try store.delete(poll.id) }
        #expect(
            try store.settle([test.ballot(99, in: poll, for: 0)]).outcomes
                == [.rejected(.pollNotFound)])
        // Ballots go a slice at a time, and others have their turn in between.
        #expect(try test.integer("SELECT count(*) FROM ballots") == 26)
        while try store.millisecondsUntilNextTransition() == 0 {
            _ = try store.makeDueTransitions(limit: 9)
        }
        let rows = try test.integer(
            """
            SELECT (SELECT count(*) FROM ballots) * 1000000 + (SELECT count(*) FROM tallies) * 1000
                + (SELECT count(*) FROM options)
            """)
        #expect(rows == 1_001_002, "the other poll's alone")
        try test.expectConsistent(kept.id)
    }

    @Test(arguments: Backend.allCases)
    func `what a delete left behind is removed as due work`(on backend: Backend) throws {
        let test = try TestStore(backend, deleteSlice: 10)
        let poll = try test.createPoll()
        _ = try test.store.settle((0..<35).map { test.ballot($0, in: poll, for: 0) })
        // As a process leaves it that dies after the first transaction.
        try test.execute("UPDATE tallies SET deleted_at = 1, closed_at = 1; DELETE FROM polls")
        #expect(try test.poll(poll.id) == nil)
        #expect(try test.store.list(.all, page: 1, pageSize: 9).count == 0)
        #expect(try test.store.list(.closed, page: 1, pageSize: 9).count == 0)
        #expect(throws: StoreError.pollNotFound) { try test.store.audit(poll.id) }
        #expect(try test.store.ballots(of: poll.id, after: nil, limit: 99).isEmpty)
        var calls = 0
        while try test.store.millisecondsUntilNextTransition() == 0 {
            #expect(try test.store.makeDueTransitions(limit: 9).isEmpty)
            calls += 1
        }
        #expect(calls == 4, "a slice a call")
        #expect(try test.integer("SELECT count(*) FROM ballots") == 0)
    }

    @Test(arguments: Backend.allCases)
    func `a voter's ballot is found`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll()
        let ballot = test.ballot(1, in: poll, for: 0)
        #expect(try !store.hasBallot(ballot.key))
        _ = try store.settle([ballot])
        #expect(try store.hasBallot(ballot.key))
        #expect(try !store.hasBallot(test.ballot(2, in: poll, for: 0).key))
    }

    @Test(arguments: Backend.allCases)
    func `what voters chose is told in the order of the question`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let poll = try test.createPoll()
        let (ada, bob) = (test.ballot(1, in: poll, for: 1), test.ballot(2, in: poll, for: 0))
        let nobody = test.ballot(3, in: poll, for: 0)
        _ = try test.store.settle([ada, bob])
        let choices = try test.store.choices(of: [bob.key, nobody.key, ada.key, bob.key])
        #expect(choices == [bob.choices, nil, ada.choices, bob.choices])
        #expect(try test.store.choices(of: []) == [])
    }

    @Test(arguments: Backend.allCases)
    func `a poll of the original platform keeps what it was given`(on backend: Backend) throws {
        let test = try TestStore(backend)
        for texts in [[], ["one"], ["same", "same"], (1...63).map { "\($0)" }] {
            let draft = PollDraft(
                original: "Title", description: "", creatorName: "ada", options: texts, endTime: 1)
            let poll = try test.store.create(
                draft, hostKeyHash: [1], joinCode: "CODE\(texts.count)"
            ).poll
            #expect(poll.options.map(\.text) == texts)
            #expect(poll.tally.counts.count == texts.count)
            #expect(poll.endTime == 1)
        }
    }

    @Test func `after the close of the store everything is unavailable`() throws {
        let test = try TestStore()
        let store = test.sqlite
        let poll = try test.createPoll()
        store.close()
        store.close()
        let closed = StoreError.unavailable(reason: "the store is closed")
        #expect(throws: closed) { try store.read([poll.id]) }
        #expect(throws: closed) { try store.settle([test.ballot(1, in: poll, for: 0)]) }
        #expect(throws: closed) { try store.audit(poll.id) }
    }
}

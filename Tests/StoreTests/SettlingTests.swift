import Polls
import Testing

@testable import Store

struct SettlingTests {
    @Test(arguments: Backend.allCases)
    func `a batch of nothing changes nothing`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        #expect(try store.settle([]) == Settlement(outcomes: [], tallies: []))
    }

    @Test(arguments: Backend.allCases)
    func `outcomes stand in the order of the ballots`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let first = try test.createPoll()
        let second = try test.createPoll()
        let settlement = try store.settle([
            test.ballot(9, in: second, for: 0, castAt: 90), test.ballot(5, in: first, for: 1),
            test.ballot(2, in: second, for: 1, castAt: 70),
        ])
        let revisions = settlement.tallies.map(\.revision)
        #expect(
            settlement.outcomes == [
                .counted(revision: revisions[1]), .counted(revision: revisions[0]),
                .counted(revision: revisions[1]),
            ])
        #expect(settlement.tallies.map(\.pollID) == [first.id, second.id])
        #expect(settlement.tallies.map(\.counts) == [[0, 1], [1, 1]])
        #expect(settlement.tallies.map(\.ballots) == [1, 2])
        #expect(settlement.tallies.map(\.at) == [5, 70], "the oldest ballot's time")
        #expect(try test.poll(second.id)?.tally.counts == [1, 1])
        try test.expectConsistent(first.id)
        try test.expectConsistent(second.id)
    }

    @Test(arguments: Backend.allCases)
    func `every mark of a ballot is counted, the ballot once`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll {
            $0.kind = .multiple
            $0.options = ["a", "b", "c"]
        }
        var ballot = test.ballot(1, in: poll, for: 0)
        ballot.choices = Choices(mask: 0b101)
        let tally = try store.settle([ballot]).tallies[0]
        #expect(tally.counts == [1, 0, 1] && tally.ballots == 1)
        try test.expectConsistent(poll.id)
    }

    @Test(arguments: Backend.allCases)
    func `the same choice again counts once, at the present revision`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll()
        let first = try store.settle([test.ballot(1, in: poll, for: 0)])
        let again = try store.settle([test.ballot(1, in: poll, for: 0)])
        #expect(again.outcomes == [.repeated(revision: first.tallies[0].revision)])
        #expect(again.tallies == [])
        #expect(try test.poll(poll.id)?.tally.revision == first.tallies[0].revision)
        try test.expectConsistent(poll.id)
    }

    @Test(arguments: Backend.allCases)
    func `another choice is refused where changes are`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let poll = try test.createPoll()
        _ = try test.settleOne(test.ballot(1, in: poll, for: 0))
        #expect(try test.settleOne(test.ballot(1, in: poll, for: 1)) == .alreadyVoted)
        #expect(try test.poll(poll.id)?.tally.counts == [1, 0])
    }

    @Test(arguments: Backend.allCases)
    func `another choice replaces the first where changes are allowed`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll { $0.allowsChange = true }
        _ = try test.settleOne(test.ballot(1, in: poll, for: 0))
        let settlement = try store.settle([test.ballot(1, in: poll, for: 1, castAt: 8)])
        #expect(settlement.outcomes == [.changed(revision: settlement.tallies[0].revision)])
        #expect(settlement.tallies[0].counts == [0, 1] && settlement.tallies[0].ballots == 1)
        #expect(try store.ballots(of: poll.id, after: nil, limit: 9).map(\.castAt) == [8])
        try test.expectConsistent(poll.id)
    }

    @Test func `previous tells what a changed ballot replaced`() throws {
        let test = try TestStore()
        let store = test.store
        let fixed = try test.createPoll()
        let free = try test.createPoll { $0.allowsChange = true }
        _ = try store.settle([
            test.ballot(1, in: fixed, for: 0), test.ballot(1, in: free, for: 0),
            test.ballot(2, in: free, for: 0), test.ballot(2, in: free, for: 1),
        ])
        let previous = try withDatabase(test.path) { database in
            var values: [Int64?] = []
            try database.statement("SELECT previous FROM ballots ORDER BY key").forEachRow {
                (row) throws(SQLiteFailure) in values.append(row.optionalInteger(0))
            }
            return values
        }
        #expect(previous == [nil, 0, 1])
    }

    @Test(arguments: Backend.allCases)
    func `of one voter's ballots in a batch the first wins`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll()
        let settlement = try store.settle([
            test.ballot(1, in: poll, for: 1), test.ballot(1, in: poll, for: 0),
            test.ballot(1, in: poll, for: 1),
        ])
        let revision = settlement.tallies[0].revision
        #expect(
            settlement.outcomes == [
                .counted(revision: revision), .alreadyVoted, .repeated(revision: revision),
            ])
        #expect(settlement.tallies[0].counts == [0, 1])
        try test.expectConsistent(poll.id)
    }

    @Test(arguments: Backend.allCases)
    func `of one voter's ballots in a batch the last wins where changes are allowed`(
        on backend: Backend
    ) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll { $0.allowsChange = true }
        let settlement = try store.settle([
            test.ballot(1, in: poll, for: 1), test.ballot(1, in: poll, for: 1),
            test.ballot(1, in: poll, for: 0),
        ])
        let revision = settlement.tallies[0].revision
        #expect(
            settlement.outcomes == [
                .counted(revision: revision), .repeated(revision: revision),
                .changed(revision: revision),
            ])
        #expect(settlement.tallies[0].counts == [1, 0] && settlement.tallies[0].ballots == 1)
        try test.expectConsistent(poll.id)
    }

    @Test(arguments: Backend.allCases, [false, true])
    func `settling the same batch again is harmless`(on backend: Backend, allowsChange: Bool) throws
    {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll { $0.allowsChange = allowsChange }
        let batch = (0..<50).map { test.ballot($0 % 20, in: poll, for: ($0 / 20) % 2) }
        let first = try store.settle(batch)
        let again = try store.settle(batch)
        #expect(again.tallies == [], "nothing changed")
        #expect(zip(first.outcomes, again.outcomes).allSatisfy { $0.isStored == $1.isStored })
        if !allowsChange { #expect(again.outcomes == first.outcomes, "ours, not repeats") }
        #expect(try test.poll(poll.id)?.tally.counts == first.tallies[0].counts)
        try test.expectConsistent(poll.id)
    }

    @Test(arguments: Backend.allCases)
    func `our own earlier attempt is counted, also after the close`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll { $0.allowsChange = true }
        let mine = test.ballot(1, in: poll, for: 0)
        let replaced = test.ballot(2, in: poll, for: 0)
        let replacing = test.ballot(2, in: poll, for: 1)
        _ = try store.settle([mine, replaced, replacing])
        let (closed, _) = try store.close(poll.id)
        let late = test.ballot(2, in: poll, for: 0)
        let revision = closed.poll.tally.revision
        #expect(
            try store.settle([mine, replaced, replacing, late]).outcomes == [
                .counted(revision: revision), .counted(revision: revision),
                .counted(revision: revision), .rejected(.pollClosed),
            ])
        #expect(try test.poll(poll.id)?.tally.counts == closed.poll.tally.counts)
    }

    @Test(arguments: Backend.allCases)
    func `one bad ballot does not sink its batch`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let open = try test.createPoll()
        let closed = try test.createPoll()
        let scheduled = try test.createPoll { $0.startsAt = test.clock.now + 1000 }
        let deleted = try test.createPoll()
        _ = try store.close(closed.id)
        _ = try store.delete(deleted.id)
        var otherEdition = test.ballot(2, in: open, for: 0)
        otherEdition.edition += 1
        let outcomes = try store.settle([
            test.ballot(1, in: closed, for: 0), test.ballot(1, in: scheduled, for: 0),
            test.ballot(1, in: deleted, for: 0), otherEdition,
            test.ballot(3, in: open, for: 5), test.ballot(1, in: open, for: 0),
        ]).outcomes
        #expect(
            outcomes.dropLast() == [
                .rejected(.pollClosed), .rejected(.pollNotOpen), .rejected(.pollNotFound),
                .rejected(.optionsChanged), .rejected(.optionNotFound),
            ])
        #expect(outcomes.last?.isStored == true)
        try test.expectConsistent(open.id)
    }

    @Test(arguments: Backend.allCases)
    func `the end is the end by the database's clock, to the millisecond`(on backend: Backend)
        throws
    {
        let test = try TestStore(backend)
        let end = test.clock.now + 1000
        let poll = try test.createPoll { $0.endTime = end }
        test.clock.now = end - 1
        #expect(try test.settleOne(test.ballot(1, in: poll, for: 0)).isStored)
        test.clock.now = end
        #expect(try test.settleOne(test.ballot(2, in: poll, for: 0)) == .rejected(.pollClosed))
        #expect(try test.poll(poll.id)?.state == .open, "shown as open until the close commits")
    }

    @Test(arguments: Backend.allCases)
    func `revisions follow the clock and never fall behind themselves`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll()
        #expect(poll.tally.revision == test.clock.now)
        test.clock.now += 500
        var revision = try store.settle([test.ballot(1, in: poll, for: 0)]).tallies[0].revision
        #expect(revision == test.clock.now)
        test.clock.now -= 100_000
        for voter in 2..<5 {
            let next = try store.settle([test.ballot(voter, in: poll, for: 0)]).tallies[0].revision
            #expect(next == revision + 1)
            revision = next
        }
        #expect(try test.poll(poll.id)?.shownRevision == poll.shownRevision, "ballots do not show")
    }

    @Test(arguments: Backend.allCases)
    func `voters' names are stored as they came`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll()
        let odd = ["", "O'Brien; DROP TABLE ballots", "=1+1", "tab\tnew\nline", "🗳️é", "\\N", "\\."]
        // Few are merged, many are copied.
        let names = odd + (0..<100).map { "\(odd[$0 % odd.count])\($0 % 3 == 0 ? "\\" : "")" }
        let batch = names.enumerated().map { voter, name in
            var ballot = test.ballot(voter, in: poll, for: 0)
            ballot.voter = name
            return ballot
        }
        _ = try store.settle(Array(batch.prefix(odd.count)))
        #expect(try store.ballots(of: poll.id, after: nil, limit: 999).map(\.voter) == odd)
        _ = try store.settle(Array(batch.dropFirst(odd.count)))
        #expect(try store.ballots(of: poll.id, after: nil, limit: 999).map(\.voter) == names)
    }
}

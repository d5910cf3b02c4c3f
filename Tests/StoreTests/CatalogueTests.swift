import Polls
import Testing

@testable import Store

struct CatalogueTests {
    // MARK: Creating and reading

    @Test(arguments: Backend.allCases)
    func `a poll is read as it was created`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let start = test.clock.now + 1000
        let created = try test.store.create(
            test.draft {
                $0.title = "Größe? 🗳️"
                $0.description = "Words."
                $0.creatorName = "Ann"
                $0.options = ["Soup", "Salad", "soup"]
                $0.kind = .multiple
                $0.maxChoices = 2
                $0.results = .afterVote
                $0.allowsChange = true
                $0.asksName = true
                $0.startsAt = start
                $0.endTime = start + 5000
            }, hostKeyHash: [7, 0, 7], joinCode: "ABC234")
        let poll = created.poll
        #expect(poll.title == "Größe? 🗳️" && poll.description == "Words.")
        #expect(poll.creatorName == "Ann" && poll.joinCode == "ABC234")
        #expect(poll.options.map(\.text) == ["Soup", "Salad", "soup"])
        #expect(Set(poll.options.map(\.id)).count == 3)
        #expect(poll.kind == .multiple && poll.maxChoices == 2 && poll.results == .afterVote)
        #expect(poll.allowsChange && poll.asksName && poll.edition == 0)
        #expect(poll.startsAt == start && poll.endTime == start + 5000 && poll.closedAt == nil)
        #expect(poll.state == .scheduled && poll.createdAt == test.clock.now)
        #expect(poll.tally.counts == [0, 0, 0] && poll.tally.ballots == 0)
        #expect(poll.tally.revision == poll.shownRevision && poll.tally.at == test.clock.now)
        #expect(created.hostKeyHash == [7, 0, 7])
        #expect(try test.store.read([poll.id]) == [created])
        #expect(try test.store.find(joinCode: "ABC234") == created)
        try test.reopen()
        #expect(try test.store.read([poll.id]) == [created])
    }

    @Test(arguments: Backend.allCases)
    func `a start in the past opens at once`(on backend: Backend) throws {
        let test = try TestStore(backend)
        #expect(try test.createPoll { $0.startsAt = test.clock.now }.state == .open)
        #expect(try test.createPoll().state == .open)
        #expect(try test.createPoll { $0.startsAt = test.clock.now + 1 }.state == .scheduled)
    }

    @Test(arguments: Backend.allCases)
    func `reading keeps the order asked for, with gaps and repeats`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let polls = try (0..<3).map { _ in try test.createPoll() }
        let missing = try #require(PollID(999))
        let ids = [polls[2].id, missing, polls[0].id, polls[2].id]
        #expect(try store.read(ids).map { $0?.poll.id } == [ids[0], nil, ids[2], ids[0]])
        #expect(try store.read([]).isEmpty)
        #expect(try store.find(joinCode: "NONE") == nil)
    }

    @Test(arguments: Backend.allCases)
    func `a join code belongs to one poll`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        _ = try store.create(test.draft(), hostKeyHash: [], joinCode: "SAME")
        #expect(throws: StoreError.joinCodeTaken) {
            try store.create(test.draft(), hostKeyHash: [], joinCode: "SAME")
        }
        #expect(try store.list(.all, page: 1, pageSize: 9).count == 1, "nothing half made")
    }

    @Test(arguments: Backend.allCases)
    func `ids of deleted polls and options never come back`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let deleted = try test.createPoll()
        _ = try store.delete(deleted.id)
        let next = try test.createPoll()
        #expect(next.id > deleted.id)
        #expect(next.options[0].id > deleted.options[1].id)
    }

    @Test(arguments: Backend.allCases)
    func `a list shows a state, newest first, and counts exactly`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        var ids: [PollFilter: [PollID]] = [:]
        for number in 0..<30 {
            let filter: PollFilter = [.open, .scheduled, .closed][number % 3]
            let start = filter == .scheduled ? test.clock.now + 1 : nil
            let poll = try test.createPoll { $0.startsAt = start }
            if filter == .closed { _ = try store.close(poll.id) }
            ids[filter, default: []].insert(poll.id, at: 0)
            ids[.all, default: []].insert(poll.id, at: 0)
        }
        _ = try store.delete(test.createPoll().id)
        for (filter, expected) in ids {
            for pageSize in [1, 7, 10, 100] {
                for page in 1...4 {
                    let result = try store.list(filter, page: page, pageSize: pageSize)
                    let rest = expected.dropFirst((page - 1) * pageSize).prefix(pageSize)
                    #expect(result.polls.map(\.id) == Array(rest), "\(filter) \(page)")
                    #expect(result.count == expected.count)
                }
            }
        }
        #expect(try store.list(.open, page: .max, pageSize: 100).polls.isEmpty)
        #expect(try store.list(.open, page: 1, pageSize: 5).polls[0].options.count == 2)
    }

    @Test(arguments: [PollFilter.open, .scheduled, .closed])
    func `a list by state reads an index, not the table`(filter: PollFilter) throws {
        let test = try TestStore()
        let condition = SQLiteStore.condition(filter)
        let plan = try withDatabase(test.path) { database in
            var plan = ""
            try SQLiteStatement(
                "EXPLAIN QUERY PLAN SELECT poll_id FROM tallies WHERE \(condition) "
                    + "ORDER BY poll_id DESC LIMIT 10", on: database
            ).forEachRow { (row) throws(SQLiteFailure) in plan += row.text(3) }
            return plan
        }
        #expect(plan.contains("INDEX \(filter.rawValue)_polls"), "\(plan)")
        #expect(!plan.contains("TEMP B-TREE"))
    }

    // MARK: Changing

    @Test(arguments: Backend.allCases)
    func `a change shows everybody a higher revision`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll()
        _ = try store.settle([test.ballot(1, in: poll, for: 0)])
        test.clock.now += 10
        let end = test.clock.now + 9
        let changed = try store.change(
            poll.id, test.change(title: "Dinner?", results: .afterClose, endTime: .some(end))
        ).poll
        #expect(changed.title == "Dinner?" && changed.results == .afterClose)
        #expect(changed.endTime == end && changed.edition == 0)
        #expect(changed.options == poll.options && changed.tally.counts == [1, 0])
        #expect(changed.tally.revision == test.clock.now)
        #expect(changed.shownRevision == changed.tally.revision)
        let without = try store.change(poll.id, test.change(endTime: .some(nil))).poll
        #expect(without.endTime == nil)
        #expect(without.tally.revision == changed.tally.revision + 1)
    }

    @Test(arguments: Backend.allCases)
    func `options change before the first ballot, at a new edition`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll { $0.kind = .multiple }
        let old = test.ballot(1, in: poll, for: 1)
        let changed = try store.change(poll.id, test.change(options: ["a", "b", "c"])).poll
        #expect(changed.edition == poll.edition + 1 && changed.maxChoices == 3)
        #expect(changed.options.map(\.text) == ["a", "b", "c"])
        #expect(Set(changed.options.map(\.id)).isDisjoint(with: poll.options.map(\.id)))
        #expect(changed.tally.counts == [0, 0, 0])
        #expect(try store.settle([old]).outcomes == [.rejected(.optionsChanged)])
        #expect(try store.settle([test.ballot(1, in: changed, for: 2)]).outcomes[0].isStored)
        #expect(throws: StoreError.hasBallots) {
            try store.change(poll.id, test.change(title: "x", options: ["a", "b"]))
        }
        #expect(try test.poll(poll.id)?.title == "Lunch?", "all of a change or nothing")
        #expect(
            try store.change(poll.id, test.change(options: ["a", "b", "c"])).poll.edition
                == changed.edition, "the same options are no change of options")
    }

    @Test(arguments: Backend.allCases)
    func `an extended end competes with the end itself`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let end = test.clock.now + 1000
        let first = try test.createPoll { $0.endTime = end }
        let second = try test.createPoll { $0.endTime = end }
        test.clock.now = end - 1
        _ = try store.change(first.id, test.change(endTime: .some(end + 1000)))
        let late = try test.change(endTime: .some(end + 1000))
        test.clock.now = end
        #expect(throws: StoreError.pollClosed) { try store.change(second.id, late) }
        #expect(try store.settle([test.ballot(1, in: first, for: 0)]).outcomes[0].isStored)
        #expect(try store.makeDueTransitions(limit: 9).map(\.0.poll.id) == [second.id])
    }

    @Test(arguments: Backend.allCases)
    func `what cannot be changed is told apart`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let closed = try test.createPoll()
        _ = try store.close(closed.id)
        #expect(throws: StoreError.pollClosed) {
            try store.change(closed.id, test.change(title: "x"))
        }
        let scheduled = try test.createPoll { $0.startsAt = test.clock.now + 100 }
        #expect(throws: StoreError.endBeforeStart) {
            try store.change(scheduled.id, test.change(endTime: .some(test.clock.now + 100)))
        }
        let missing = try #require(PollID(999))
        #expect(throws: StoreError.pollNotFound) {
            try store.change(missing, test.change(title: "x"))
        }
        #expect(throws: StoreError.pollNotFound) { try store.open(missing) }
        #expect(throws: StoreError.pollNotFound) { try store.close(missing) }
        #expect(throws: StoreError.pollNotFound) { try store.delete(missing) }
        #expect(throws: StoreError.pollNotFound) { try store.audit(missing) }
    }

    @Test(arguments: Backend.allCases)
    func `a refresh tells what changed and what is gone, and nothing else`(on backend: Backend)
        throws
    {
        let test = try TestStore(backend)
        let store = test.store
        let polls = try (0..<4).map { _ in try test.createPoll() }
        let known = polls.map { KnownPoll($0) }
        #expect(try store.refresh(known) == RefreshedPolls(changed: [], gone: []))
        #expect(try store.refresh([]) == RefreshedPolls(changed: [], gone: []))
        test.clock.now += 1
        _ = try store.settle([test.ballot(1, in: polls[1], for: 0)])
        _ = try store.close(polls[2].id)
        _ = try store.delete(polls[3].id)
        let refreshed = try store.refresh(known)
        #expect(refreshed.gone == [polls[3].id])
        let changed = refreshed.changed.map(\.poll).sorted { $0.id < $1.id }
        #expect(changed.map(\.id) == [polls[1].id, polls[2].id])
        #expect(changed[0].tally.counts == [1, 0] && changed[1].state == .closed)
    }

    @Test(arguments: Backend.allCases)
    func `a change is told also to who missed it and has heard a later tally`(
        on backend: Backend
    ) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll()
        test.clock.now += 1
        _ = try store.change(poll.id, test.change(title: "hidden", results: .afterClose))
        let settled = try store.settle([test.ballot(1, in: poll, for: 0)])
        var known = KnownPoll(poll)
        known.revision = settled.tallies[0].revision
        #expect(try store.refresh([known]).changed.map(\.poll.title) == ["hidden"])
    }
}

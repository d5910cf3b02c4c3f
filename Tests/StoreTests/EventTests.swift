import Polls
import TestServers
import Testing

@testable import Store

struct EventTests {
    /// All that waits, a line for each ballot and change; it is left there.
    static func lines(_ store: any AnyStore) throws -> [String] {
        try store.events(limit: 10_000).flatMap { event -> [String] in
            switch event.content {
            case .ballots(let ballots):
                ballots.sorted { $0.voter < $1.voter }.map {
                    "\($0.voter): \($0.replaced.mask) -> \($0.choices.mask)"
                }
            case .change(let kind, let facts): ["\(kind) \(facts.state) \(facts.counts)"]
            }
        }
    }

    static func forgetAll(_ store: any AnyStore) throws {
        try store.forget(try store.events(limit: 10_000).map(\.id))
    }

    @Test(arguments: Backend.allCases)
    func `nothing is kept until it is wanted, and no longer`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll()
        #expect(try test.settleOne(test.ballot(1, in: poll, for: 0)).isStored)
        #expect(try !store.isRecording())
        #expect(try Self.lines(store) == [])
        for _ in 0..<2 { try store.setRecording(true) }
        #expect(try store.isRecording())
        try test.reopen()
        #expect(try test.store.isRecording(), "the database remembers")
        #expect(try test.settleOne(test.ballot(2, in: poll, for: 0)).isStored)
        #expect(try Self.lines(test.store) == ["voter 2: 0 -> 1"])
        for _ in 0..<2 { try test.store.setRecording(false) }
        #expect(try !test.store.isRecording())
        #expect(try test.settleOne(test.ballot(3, in: poll, for: 0)).isStored)
        #expect(try test.store.eventCount() == 0)
    }

    @Test(arguments: Backend.allCases)
    func `what becomes of a poll is kept in its order, as each change left it`(
        on backend: Backend
    ) throws {
        let test = try TestStore(backend)
        let store = test.store
        try store.setRecording(true)
        let poll = try test.createPoll { $0.startsAt = test.clock.now + 500 }
        _ = try store.change(
            poll.id, test.change(title: "Dinner?", options: ["Pie:3", "Süß", "X"]))
        let opened = try store.open(poll.id).0.poll
        _ = try store.open(poll.id)
        #expect(try test.settleOne(test.ballot(1, in: opened, for: 2)).isStored)
        _ = try store.change(poll.id, test.change(title: "Supper?"))
        _ = try store.close(poll.id)
        _ = try store.close(poll.id)
        #expect(
            try Self.lines(store) == [
                "created scheduled [0, 0]", "changed scheduled [0, 0, 0]", "opened open [0, 0, 0]",
                "voter 1: 0 -> 4", "changed open [0, 0, 1]", "closed closed [0, 0, 1]",
            ])
        let events = try store.events(limit: 100)
        #expect(events.allSatisfy { $0.pollID == poll.id })
        #expect(
            events.map(\.words.title) == [
                "Lunch?", "Dinner?", "Dinner?", "Supper?", "Supper?", "Supper?",
            ])
        #expect(events[0].words.options == poll.options)
        #expect(events[1].words.options == opened.options, "with the ids that voters use")
        #expect(events[3].words.options == opened.options)
        guard case .change(_, let facts) = events[5].content else { return #expect(Bool(false)) }
        let final = try #require(try test.poll(poll.id))
        #expect(facts.revision == final.tally.revision && facts.closedAt == final.closedAt)
        #expect(facts.ballots == 1 && facts.startsAt == final.startsAt && facts.endTime == nil)
        try Self.forgetAll(store)
        #expect(try store.eventCount() == 0 && Self.lines(store) == [])
    }

    @Test(arguments: Backend.allCases)
    func `the clock's changes are kept as well`(on backend: Backend) throws {
        let test = try TestStore(backend)
        try test.store.setRecording(true)
        _ = try test.createPoll {
            $0.startsAt = test.clock.now + 100
            $0.endTime = test.clock.now + 200
            $0.results = .afterClose
        }
        test.clock.now += 300
        #expect(try test.store.makeDueTransitions(limit: 9).count == 2)
        #expect(
            try Self.lines(test.store) == [
                "created scheduled [0, 0]", "opened open [0, 0]", "closed closed [0, 0]",
            ])
        #expect(
            try test.store.events(limit: 9).allSatisfy { $0.words.results == .afterClose })
    }

    @Test(arguments: Backend.allCases, [1, 3, 50])
    func `each counted ballot once, whichever way it went`(on backend: Backend, size: Int) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll()
        try store.setRecording(true)
        let ballots = (0..<size).map { test.ballot($0, in: poll, for: $0 % 2) }
        _ = try store.settle(ballots)
        _ = try store.settle(ballots)  // as after an ambiguous commit
        _ = try store.settle((0..<size).map { test.ballot($0, in: poll, for: $0 % 2) })
        _ = try store.settle((0..<size).map { test.ballot($0, in: poll, for: 1 - $0 % 2) })
        _ = try store.settle(
            (0..<2 * size).map { test.ballot($0, in: poll, for: $0 % 2) })
        #expect(
            try Self.lines(store).sorted()
                == (0..<2 * size).map { "voter \($0): 0 -> \(1 << ($0 % 2))" }.sorted())
        let ids = try store.events(limit: 10_000).flatMap { event -> [Int64] in
            guard case .ballots(let ballots) = event.content else { return [] }
            return ballots.map(\.id)
        }
        #expect(Set(ids).count == 2 * size && Set(ids).isSuperset(of: ballots.map(\.id)))
    }

    @Test(arguments: Backend.allCases)
    func `a change of mind says what it replaced`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let poll = try test.createPoll { $0.allowsChange = true }
        try test.store.setRecording(true)
        for position in [0, 1, 1, 0] {
            _ = try test.store.settle([
                test.ballot(1, in: poll, for: position), test.ballot(2, in: poll, for: 0),
            ])
        }
        // Two of one voter in one batch: the first was never seen by anybody.
        _ = try test.store.settle([
            test.ballot(3, in: poll, for: 0), test.ballot(3, in: poll, for: 1),
        ])
        // Of several, in one batch with the first of another.
        _ = try test.store.settle((1...4).map { test.ballot($0, in: poll, for: 1) })
        // Each with its copy: nothing has come of it.
        _ = try test.store.settle([
            test.ballot(4, in: poll, for: 0), test.ballot(4, in: poll, for: 1),
        ])
        let told = try Self.lines(test.store)
        #expect(
            told.prefix(4) == [
                "voter 1: 0 -> 1", "voter 2: 0 -> 1", "voter 1: 1 -> 2", "voter 1: 2 -> 1",
            ])
        #expect(
            Self.sums(of: try test.store.events(limit: 99))
                == (try test.poll(poll.id)?.tally.counts))
        try test.expectConsistent(poll.id)
    }

    /// What the ballots add up to, as a service would that knows nothing else.
    static func sums(of events: [RecordedEvent]) -> [Int64] {
        var counts: [Int64] = [0, 0]
        for event in events {
            guard case .ballots(let ballots) = event.content else { continue }
            for ballot in ballots {
                ballot.replaced.add(-1, to: &counts)
                ballot.choices.add(1, to: &counts)
            }
        }
        return counts
    }

    @Test(arguments: Backend.allCases)
    func `what is refused is not kept, and what retention takes is no news`(
        on backend: Backend
    ) throws {
        let test = try TestStore(backend)
        let store = test.store
        try store.setRecording(true)
        let poll = try test.createPoll()
        let closed = try store.close(try test.createPoll().id).0.poll
        try Self.forgetAll(store)
        let outcomes = try store.settle(
            (0..<100).map { test.ballot($0, in: $0 % 2 == 0 ? poll : closed, for: 0) }
        ).outcomes
        #expect(outcomes.filter(\.isStored).count == 50)
        #expect(try Self.lines(store).count == 50)
        try Self.forgetAll(store)
        _ = try store.close(poll.id)
        try Self.forgetAll(store)
        test.clock.now += 1_000
        for step in RetentionStep.allCases {
            while try store.retain(step, closedForMilliseconds: 1_000, limit: 20) > 0 {}
        }
        #expect(try Self.lines(store) == [])
    }

    @Test(arguments: Backend.allCases)
    func `a deleted poll's ballots keep their words`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll { $0.options = ["a", "b", "c"] }
        try store.setRecording(true)
        #expect(try test.settleOne(test.ballot(1, in: poll, for: 1)).isStored)
        _ = try store.change(poll.id, test.change(title: "The last title"))
        _ = try store.delete(poll.id)
        while try !store.makeDueTransitions(limit: 9).isEmpty {}
        let events = try store.events(limit: 9)
        #expect(
            try Self.lines(store) == [
                "voter 1: 0 -> 2", "changed open [0, 1, 0]", "deleted closed [0, 1, 0]",
            ])
        for event in events {
            #expect(event.words.title == "The last title" && event.words.options == poll.options)
        }
    }

    @Test(arguments: Backend.allCases)
    func `pages are bounded, and what is forgotten makes room`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll()
        try store.setRecording(true)
        for batch in 0..<10 {
            _ = try store.settle((0..<5).map { test.ballot(batch * 5 + $0, in: poll, for: 0) })
        }
        var voters: [String] = []
        while case let page = try store.events(limit: 7), !page.isEmpty {
            #expect(try store.events(limit: 7) == page, "it stays until it is forgotten")
            var size = 0
            for event in page {
                guard case .ballots(let ballots) = event.content else { continue }
                voters += ballots.map(\.voter)
                size += ballots.count
            }
            #expect(size <= 7 + 5)
            // All but the last may have been told.
            try store.forget(page.dropLast().map(\.id))
            try store.forget(page.map(\.id))
            try store.forget(page.map(\.id))
        }
        #expect(voters.sorted() == (0..<50).map { "voter \($0)" }.sorted())
        #expect(
            voters.enumerated().allSatisfy { $0.offset / 5 == Int($0.element.dropFirst(6))! / 5 })
        #expect(try store.eventCount() == 0)
        if backend == .postgres {
            #expect(try test.integer("SELECT count(*) FROM event_ballots") == 0)
        }
    }

    // MARK: Older databases

    @Test func `a SQLite file of an earlier version climbs`() throws {
        let directory = TemporaryDirectory()
        let path = directory.path + "/old.db"
        let before = SQLiteSchema(steps: Array(SQLiteSchema.current.steps.dropLast()))
        let old = try SQLiteStore(
            path: path, clock: { 1 }, schema: before, settings: SQLiteSettings())
        old.close()
        let store = try SQLiteStore(path: path)
        try store.setRecording(true)
        #expect(try store.eventCount() == 0)
    }

    @Test func `a PostgreSQL database of an earlier version climbs, with its polls`() throws {
        let server = PrivatePostgres.shared
        let database = server.createDatabase()
        func store(_ schema: PostgresSchema) throws -> PostgresStore {
            try PostgresStore(
                conninfo: server.conninfo(database), settings: PostgresSettings(), schema: schema)
        }
        let before = PostgresSchema(steps: Array(PostgresSchema.current.steps.dropLast()))
        _ = try store(before).prepare(migrates: true)
        var fields = PollDraft.Fields()
        fields.title = "Lunch?"
        fields.options = ["Soup", "Salad"]
        let poll = try store(before).makeCatalogue().create(
            PollDraft(fields, now: 1), hostKeyHash: [1], joinCode: "A"
        ).poll
        let parts = try PostgresParts(store(.current))
        try parts.setRecording(true)
        let ballot = Ballot(
            key: BallotKey(poll: poll.id, voter: VoterKey(high: 1, low: 1)), pollID: poll.id, id: 7,
            choices: Choices(mask: 1), edition: 0, allowsChange: false, voter: "ada", castAt: 5,
            ticket: nil)
        #expect(try parts.settle([ballot]).outcomes[0].isStored)
        #expect(try Self.lines(parts) == ["ada: 0 -> 1"])
    }
}

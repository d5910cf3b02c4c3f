import Polls
import TestServers
import Testing

@testable import Store

/// Events of gateways that share a PostgreSQL database.
struct SharedEventTests {
    @Test func `one gateway at a time, until it lets go or falls silent`() throws {
        let test = try TestStore(.postgres)
        let store = test.store
        #expect(try store.lease(to: 1, forMilliseconds: 1_000))
        #expect(try !store.lease(to: 2, forMilliseconds: 1_000))
        test.clock.now += 900
        #expect(try store.lease(to: 1, forMilliseconds: 1_000), "and again")
        test.clock.now += 999
        #expect(try !store.lease(to: 2, forMilliseconds: 1_000))
        test.clock.now += 1
        #expect(try store.lease(to: 2, forMilliseconds: 1_000))
        #expect(try !store.lease(to: 1, forMilliseconds: 1_000))
        try store.endLease(of: 1)
        #expect(try !store.lease(to: 1, forMilliseconds: 1_000), "not its to end")
        try store.endLease(of: 2)
        #expect(try store.lease(to: 1, forMilliseconds: 1_000))
    }

    @Test func `what commits late is found, and its poll's order is the order of the commits`()
        throws
    {
        let test = try TestStore(.postgres)
        let store = test.store
        let (slow, quick) = (try test.createPoll(), try test.createPoll())
        try store.setRecording(true)
        let connection = try PostgresConnection(
            conninfo: PrivatePostgres.shared.conninfo(test.database),
            deadline: postgresDeadline(in: 60_000))
        func run(_ sql: String) throws {
            try connection.execute(sql, until: postgresDeadline(in: 60_000))
        }
        // A transaction has its number, its ballot and its row of events, and does not end.
        try run("BEGIN")
        try run(
            """
            INSERT INTO pollstream.ballots VALUES
                ('\(hex(slow.id))-0000-0000-000000000001', 1, 1, NULL, 'late', 5)
            """)
        test.clock.now += 1
        _ = try store.settle([test.ballot(1, in: quick, for: 0)])
        // In the slow poll another comes first: its transaction is younger, its commit older.
        _ = try store.settle([test.ballot(2, in: slow, for: 0)])
        try run(
            """
            SELECT * FROM pollstream.settle('{\(slow.id.rawValue)}', '{0}', '{1}', '{2}', '{1}',
                '{1,0}', '{}')
            """)
        let early = try store.events(limit: 99)
        #expect(try EventTests.lines(store) == ["voter 1: 0 -> 1", "voter 2: 0 -> 1"])
        try store.forget(early.map(\.id))
        test.clock.now += 1
        _ = try store.settle([test.ballot(3, in: quick, for: 0)])
        try store.forget(try store.events(limit: 99).map(\.id))
        #expect(try store.eventCount() == 0)
        try run("COMMIT")
        #expect(try EventTests.lines(store) == ["late: 0 -> 1"])
        _ = try store.close(slow.id)
        #expect(try EventTests.lines(store) == ["late: 0 -> 1", "closed closed [2, 0]"])
    }

    /// The poll's part of a key, and the next two bytes.
    private func hex(_ id: PollID) -> String {
        let digits = String(UInt64(id.rawValue), radix: 16)
        let whole = String(repeating: "0", count: 12 - digits.count) + digits
        return "\(whole.prefix(8))-\(whole.dropFirst(8))"
    }

    @Test func `gateways vote, change and close at once, and nothing is lost or out of order`()
        async throws
    {
        let test = try TestStore(.postgres)
        let database = test.database
        let polls = try (0..<4).map { number in
            try test.createPoll { $0.allowsChange = number % 2 == 0 }
        }
        try test.store.setRecording(true)
        // A clock that goes, so that revisions tell the truth about time.
        try test.execute(
            """
            CREATE OR REPLACE FUNCTION pollstream.unix_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
            'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint'
            """)
        let batches = (0..<4).map { gateway in
            (0..<30).map { number in
                (0..<(number % 3 == 0 ? 60 : 5)).map { index in
                    test.ballot(
                        (gateway * 7 + number * 3 + index) % 90, in: polls[(number + index) % 4],
                        for: (gateway + number + index) % 2)
                }
            }
        }
        let isDone = Flag()
        async let voted: Void = withThrowingTaskGroup(of: Void.self) { group in
            for batches in batches {
                group.addTask {
                    try await onThread {
                        let gateway = try PostgresParts(
                            PostgresStore(conninfo: PrivatePostgres.shared.conninfo(database)))
                        for (number, batch) in batches.enumerated() {
                            _ = try gateway.settle(batch)
                            if number == 20 { _ = try gateway.close(polls[number % 4].id) }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        async let heard = onThread {
            let reader = try PostgresParts(
                PostgresStore(conninfo: PrivatePostgres.shared.conninfo(database)))
            var events: [RecordedEvent] = []
            while true {
                let isLast = isDone.value
                let page = try reader.events(limit: 64)
                events += page
                try reader.forget(page.map(\.id))
                if page.isEmpty, isLast { return events }
            }
        }
        try await voted
        isDone.value = true
        let events = try await heard
        #expect(Set(events.map(\.id)).count == events.count)
        for poll in polls {
            let own = events.filter { $0.pollID == poll.id }
            let revisions = own.map(\.id.order)
            #expect(revisions == revisions.sorted())
            let tally = try #require(try test.poll(poll.id)).tally
            #expect(EventTests.sums(of: own) == tally.counts)
            #expect(tally.ballots > 0)
            try expectStored(own, poll.id, in: test)
        }
        #expect(
            try test.store.eventCount() == 0
                && test.integer("SELECT count(*) FROM event_ballots") == 0)
    }

    /// Who takes every word for the newest ends with what the database has.
    private func expectStored(_ events: [RecordedEvent], _ id: PollID, in test: TestStore) throws {
        var choices: [String: Choices] = [:]
        var isClosed = false
        for event in events {
            switch event.content {
            case .change(let kind, _): isClosed = kind == .closed
            case .ballots(let ballots):
                #expect(!isClosed)
                for ballot in ballots {
                    #expect((choices[ballot.voter] ?? Choices(mask: 0)) == ballot.replaced)
                    choices[ballot.voter] = ballot.choices
                }
            }
        }
        let stored = try test.store.ballots(of: id, after: nil, limit: 1_000)
        #expect(choices == Dictionary(uniqueKeysWithValues: stored.map { ($0.voter, $0.choices) }))
    }

    @Test func `switching it on and off under votes fails none of them`() async throws {
        let test = try TestStore(.postgres)
        let database = test.database
        let poll = try test.createPoll()
        let batches = (0..<120).map { number in
            (0..<(number % 4 == 0 ? 50 : 3)).map { test.ballot(number * 50 + $0, in: poll, for: 0) }
        }
        let isDone = Flag()
        async let stored = onThread {
            defer { isDone.value = true }
            let gateway = try PostgresParts(
                PostgresStore(conninfo: PrivatePostgres.shared.conninfo(database)))
            return try batches.flatMap { try gateway.settle($0).outcomes }.filter(\.isStored).count
        }
        var isOn = false
        while !isDone.value {
            isOn.toggle()
            // A row of locks that is long at this moment is tried again.
            for _ in 0..<20 where (try? test.store.setRecording(isOn)) == nil {}
        }
        #expect(try await stored == batches.reduce(0) { $0 + $1.count })
        try test.store.setRecording(false)
        try test.expectConsistent(poll.id)
    }
}

import Polls
import TestRandom
import TestServers
import Testing
import Threads

@testable import Store

/// What the ledger's path into PostgreSQL has beyond what every store does.
struct PostgresLedgerTests {
    private let server = PrivatePostgres.shared

    private func store(_ database: String, copyBorder: Int? = nil) throws -> PostgresStore {
        var settings = PostgresSettings()
        if let copyBorder { settings.copyBorder = copyBorder }
        return try PostgresStore(conninfo: server.conninfo(database), settings: settings)
    }

    /// How many statements of this kind the server has run, by its own statistics of rows.
    @Test func `a batch of new ballots is copied, and a repeat of a recent one is not in it`()
        throws
    {
        let test = try TestStore(.postgres)
        let poll = try test.createPoll()
        let batch = (0..<2_000).map { test.ballot($0, in: poll, for: $0 % 2) }
        let settlement = try test.store.settle(batch)
        #expect(settlement.outcomes.allSatisfy { if case .counted = $0 { true } else { false } })
        #expect(settlement.tallies[0].counts == [1_000, 1_000])
        // 1,999 new ones and one that is there.
        var next = (2_000..<3_999).map { test.ballot($0, in: poll, for: $0 % 2) }
        next.insert(test.ballot(7, in: poll, for: 1), at: 1_000)
        let second = try test.store.settle(next)
        #expect(second.outcomes.filter(\.isStored).count == 2_000)
        let revision = second.tallies.last!.revision
        #expect(second.outcomes[1_000] == .repeated(revision: settlement.tallies[0].revision))
        #expect(second.outcomes[0] == .counted(revision: revision))
        try test.expectConsistent(poll.id)
    }

    @Test func `a repeat that nobody remembers does not sink its batch`() throws {
        let test = try TestStore(.postgres)
        let poll = try test.createPoll()
        _ = try test.store.settle((0..<100).map { test.ballot($0, in: poll, for: 0) })
        // Another gateway, which has seen none of them.
        try test.reopen()
        var batch = (100..<2_099).map { test.ballot($0, in: poll, for: 1) }
        batch.append(test.ballot(50, in: poll, for: 1))
        let settlement = try test.store.settle(batch)
        #expect(settlement.outcomes.last == .alreadyVoted)
        #expect(settlement.outcomes.filter(\.isStored).count == 1_999)
        #expect(settlement.tallies[0].counts == [100, 1_999])
        try test.expectConsistent(poll.id)
    }

    @Test func `one bad ballot of two thousand leaves the others`() throws {
        let test = try TestStore(.postgres)
        let open = try test.createPoll()
        let closed = try test.createPoll()
        _ = try test.store.close(closed.id)
        var batch = (0..<1_998).map { test.ballot($0, in: open, for: 0) }
        batch.insert(test.ballot(0, in: closed, for: 0), at: 700)
        batch.insert(test.ballot(5_000, in: open, for: 9), at: 900)
        let outcomes = try test.store.settle(batch).outcomes
        #expect(outcomes[700] == .rejected(.pollClosed))
        #expect(outcomes[900] == .rejected(.optionNotFound))
        #expect(outcomes.filter(\.isStored).count == 1_998)
        try test.expectConsistent(open.id)
    }

    // Voters who were told that nobody knows, and may have voted anew elsewhere.

    @Test func `past its deadline a ballot replaces none, and is stored where there is none`()
        throws
    {
        let test = try TestStore(.postgres)
        let poll = try test.createPoll { $0.allowsChange = true }
        _ = try test.store.settle((1...3).map { test.ballot($0, in: poll, for: 0) })
        // Far away: the database's clock stands still here, and the machine's does not.
        let hour: Int64 = 3_600_000_000_000
        let past = Clock.monotonicNanoseconds() - hour
        let late = try test.store.settle(
            [
                test.ballot(1, in: poll, for: 1), test.ballot(2, in: poll, for: 0),
                test.ballot(3, in: poll, for: 1), test.ballot(3, in: poll, for: 1),
                test.ballot(4, in: poll, for: 1),
            ], until: Array(repeating: past, count: 5))
        let revision = late.tallies[0].revision
        #expect(
            late.outcomes == [
                .storageUnavailable, .repeated(revision: revision), .storageUnavailable,
                .storageUnavailable, .counted(revision: revision),
            ])
        #expect(late.tallies[0].counts == [3, 1])
        // The others of its batch are in time.
        let mixed = try test.store.settle(
            [test.ballot(1, in: poll, for: 1), test.ballot(2, in: poll, for: 1)],
            until: [past, past + 2 * hour])
        #expect(mixed.outcomes[0] == .storageUnavailable)
        #expect(mixed.outcomes[1] == .changed(revision: mixed.tallies[0].revision))
        #expect(mixed.tallies[0].counts == [2, 2])
        try test.expectConsistent(poll.id)
    }

    @Test func `the deadline is looked at when the voter's row is locked`() async throws {
        let test = try TestStore(.postgres)
        server.psql(Self.realClock, in: test.database)
        let poll = try test.createPoll { $0.allowsChange = true }
        let first = test.ballot(1, in: poll, for: 0)
        _ = try test.settleOne(first)
        let other = try PostgresConnection(
            conninfo: server.conninfo(test.database), deadline: postgresDeadline(in: 30_000))
        try other.execute(
            "BEGIN; SELECT FROM pollstream.ballots FOR UPDATE", until: postgresDeadline(in: 30_000))
        let gateway = Gateway(ledger: test.store, batches: [[test.ballot(1, in: poll, for: 1)]])
        let deadline = Clock.monotonicNanoseconds() + 200_000_000
        async let told = onThread { try gateway.settle(until: deadline) }
        // Longer than the deadline: it is waited for, or gives up.
        try await Task.sleep(for: .milliseconds(300))
        try other.execute("ROLLBACK", until: postgresDeadline(in: 30_000))
        #expect(try await told == [.storageUnavailable])
        #expect(try test.store.choices(of: [first.key]) == [first.choices])
        try test.expectConsistent(poll.id)
    }

    private static let realClock = """
        CREATE OR REPLACE FUNCTION pollstream.unix_ms() RETURNS bigint LANGUAGE sql AS
            'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint'
        """

    /// Three gateways with voters in common, both paths, changes and closes, against what they were
    /// told.
    @Test(arguments: 1...4)
    func `several gateways count each voter once`(seed: UInt64) async throws {
        let test = try TestStore(.postgres)
        test.clock.changed = nil
        server.psql(Self.realClock, in: test.database)
        let polls = try (0..<4).map { number in
            try test.createPoll { $0.allowsChange = number % 2 == 0 }
        }
        let gateways = try (0..<3).map { number in
            Gateway(
                ledger: try store(test.database, copyBorder: number == 0 ? 2 : 24).makeLedger(),
                batches: batches(polls, test, seed: seed * 10 + UInt64(number)))
        }
        let catalogue = Catalogue(try store(test.database).makeCatalogue())
        async let told = withThrowingTaskGroup(of: [BallotKey: Int].self) { group in
            for gateway in gateways { group.addTask { try await onThread { try gateway.run() } } }
            return try await group.reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) }
        }
        async let finals = onThread { try polls.prefix(2).map { try catalogue.close($0.id) } }
        let (counts, closed) = try await (told, finals)
        #expect(counts.values.allSatisfy { $0 == 1 }, "counted twice")
        for poll in polls {
            let tally = try #require(try test.poll(poll.id)).tally
            let voters = counts.keys.filter { $0.high >> 16 == UInt64(poll.id.rawValue) }
            #expect(tally.ballots == Int64(voters.count))
            if let final = closed.first(where: { $0.pollID == poll.id }) {
                #expect(final.counts == tally.counts && final.revision == tally.revision)
            }
            try test.expectConsistent(poll.id)
        }
    }

    private func batches(_ polls: [Poll], _ test: TestStore, seed: UInt64) -> [[Ballot]] {
        var random = SeededGenerator(seed: seed)
        return (0..<40).map { _ in
            (0..<Int.random(in: 1...120, using: &random)).map { _ in
                test.ballot(
                    Int.random(in: 0..<300, using: &random),
                    in: polls.randomElement(using: &random)!,
                    for: Int.random(in: 0..<2, using: &random))
            }
        }
    }

    /// One gateway's ledger on a thread of its own.
    private final class Gateway: @unchecked Sendable {
        let ledger: any LedgerStore
        let batches: [[Ballot]]

        init(ledger: any LedgerStore, batches: [[Ballot]]) {
            self.ledger = ledger
            self.batches = batches
        }

        /// - Returns: how often each voter was told "counted".
        func run() throws -> [BallotKey: Int] {
            var told: [BallotKey: Int] = [:]
            for batch in batches {
                for (ballot, outcome) in zip(batch, try settle(batch)) {
                    if case .counted = outcome { told[ballot.key, default: 0] += 1 }
                }
            }
            return told
        }

        /// The first batch.
        func settle(until deadline: Int64) throws -> [BallotOutcome] {
            try ledger.settle(batches[0], until: batches[0].map { _ in deadline }).outcomes
        }

        private func settle(_ batch: [Ballot]) throws -> [BallotOutcome] {
            while true {
                do throws(StoreError) {
                    return try ledger.settle(batch).outcomes
                } catch {
                    guard case .unavailable = error else { throw error }
                }
            }
        }
    }

    private final class Catalogue: @unchecked Sendable {
        private let store: any CatalogueStore

        init(_ store: any CatalogueStore) { self.store = store }

        func close(_ id: PollID) throws -> Tally { try store.close(id).0.poll.tally }
    }
}

struct CopyEncoderTests {
    @Test func `what is encoded is decoded by its own lengths`() throws {
        var random = SeededGenerator(seed: 11)
        let poll = try #require(PollID(77))
        let ballots = (0..<3_000).map { number in
            Ballot(
                key: BallotKey(
                    poll: poll, voter: VoterKey(high: UInt16(number), low: random.next())),
                pollID: poll, id: Int64(bitPattern: random.next()),
                choices: Choices(mask: random.next() >> 1), edition: 0,
                allowsChange: number % 3 == 0,
                voter: String(repeating: "ü\0", count: number % 50), castAt: Int64(number),
                ticket: nil)
        }
        var encoder = CopyEncoder()
        for _ in 0..<2 {
            encoder.begin()
            for ballot in ballots { encoder.append(ballot) }
            encoder.end()
        }
        var reader = Reader(bytes: Array(encoder.bytes))
        #expect(reader.take(11) == Array("PGCOPY\n".utf8) + [0xFF] + Array("\r\n\0".utf8))
        #expect(reader.integer(4) == 0 && reader.integer(4) == 0)
        for ballot in ballots {
            #expect(reader.integer(2) == 6)
            #expect(reader.integer(4) == 16)
            #expect(reader.integer(8) == Int64(bitPattern: ballot.key.high))
            #expect(reader.integer(8) == Int64(bitPattern: ballot.key.low))
            #expect(reader.field() == ballot.id)
            #expect(reader.field() == Int64(bitPattern: ballot.choices.mask))
            #expect(reader.field() == (ballot.allowsChange ? 0 : nil))
            let voter = String(decoding: reader.take(Int(reader.integer(4))), as: UTF8.self)
            #expect(voter == ballot.voter.filter { $0 != "\0" }, "U+0000 has no place in a text")
            #expect(reader.field() == ballot.castAt)
        }
        #expect(reader.integer(2) == -1 && reader.isAtEnd)
    }

    private struct Reader {
        let bytes: [UInt8]
        var offset = 0

        var isAtEnd: Bool { offset == bytes.count }

        mutating func take(_ count: Int) -> [UInt8] {
            defer { offset += count }
            return Array(bytes[offset..<offset + count])
        }

        /// Signed, big endian.
        mutating func integer(_ count: Int) -> Int64 {
            let value = take(count).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let unused = UInt64(64 - 8 * count)
            return Int64(bitPattern: value << unused) >> Int64(unused)
        }

        mutating func field() -> Int64? { integer(4) == -1 ? nil : integer(8) }
    }
}

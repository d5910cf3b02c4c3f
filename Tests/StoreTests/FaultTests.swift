import CFaults
import CSQLite
import Glibc
import Polls
import Testing

@testable import Store

/// The disk fails at every single operation, one after another.
struct FaultTests {
    struct Fault: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let code: Int32
        let syncsOnly: Bool
        /// How many operations fail: one, or all until somebody makes room.
        let count: Int
    }

    static let faults = [
        Fault(testDescription: "full", code: SQLITE_FULL, syncsOnly: false, count: .max),
        Fault(testDescription: "full once", code: SQLITE_FULL, syncsOnly: false, count: 1),
        // SQLITE_IOERR_WRITE and SQLITE_IOERR_FSYNC, which are computed in the header.
        Fault(
            testDescription: "write error", code: SQLITE_IOERR | 3 << 8, syncsOnly: false,
            count: .max),
        Fault(
            testDescription: "fsync error", code: SQLITE_IOERR | 4 << 8, syncsOnly: true,
            count: .max),
        Fault(
            testDescription: "fsync error once", code: SQLITE_IOERR | 4 << 8, syncsOnly: true,
            count: 1),
    ]

    @Test(arguments: faults)
    func `nothing is answered that is not durable, and all recovers`(fault: Fault) throws {
        // Few frames, so that checkpoints fail as well as commits.
        var settings = SQLiteSettings()
        settings.checkpointFrames = 20
        settings.restartFrames = 40
        let name = strdup("faults-\(fault.testDescription)-\(UInt64.random(in: 0 ... .max))")
        let disk = try #require(faults_create(name))
        settings.vfs = String(cString: try #require(name))
        defer {
            faults_destroy(disk)
            free(name)
        }
        try run(fault, on: disk, settings)
    }

    private func run(_ fault: Fault, on disk: OpaquePointer, _ settings: SQLiteSettings) throws {
        let test = try TestStore(.sqlite, settings)
        let poll = try test.createPoll()
        var answered = 0
        var unknown = 0
        var failures = 0
        var skipped = 0
        // One operation later each time, until a settle is through before its turn to fail comes;
        // several rounds, so that the faults reach commits with and without a checkpoint.
        var rounds = 0
        while rounds < 6 {
            let batch = (answered..<answered + 40).map { test.ballot($0, in: poll, for: $0 % 2) }
            faults_arm(disk, skipped, fault.count, fault.code, fault.syncsOnly ? 1 : 0)
            let settlement: Settlement?
            do { settlement = try test.sqlite.settle(batch) } catch {
                settlement = nil
                failures += 1
                if case StoreError.commitUnknown = error {
                    unknown += 1
                } else {
                    guard case StoreError.unavailable = error else { throw error }
                }
            }
            let wasTouched = faults_count(disk) > 0
            faults_arm(disk, .max, 0, 0, 0)
            skipped = wasTouched ? skipped + 1 : 0
            rounds += wasTouched ? 0 : 1
            if let settlement {
                #expect(settlement.outcomes.allSatisfy { $0.isStored })
                #expect(settlement.tallies[0].ballots == Int64(answered + 40))
            } else {
                // What a crash at this moment would leave: all of the batch or nothing.
                let stored = try ballotsAfterCrash(test)
                #expect([answered, answered + 40].contains(stored), "\(stored)")
                // The space is back: the same batch goes through, each ballot once.
                let again = try test.sqlite.settle(batch)
                #expect(again.outcomes.allSatisfy { if case .counted = $0 { true } else { false } })
            }
            answered += 40
            let durable = try ballotsAfterCrash(test)
            #expect(durable == answered, "answered and not durable")
            let tally = try #require(try test.poll(poll.id)).tally
            #expect(tally.ballots == Int64(answered))
            #expect(tally.counts == [Int64(answered / 2), Int64(answered / 2)])
        }
        #expect(failures > 0, "the faults have hit something")
        #expect((unknown > 0) == (fault.code & 0xFF == SQLITE_IOERR))
        try test.expectConsistent(poll.id)
    }

    /// Copies the file and its log as they are, and counts what a new process would find.
    private func ballotsAfterCrash(_ test: TestStore) throws -> Int {
        let copy = TemporaryDirectory()
        for suffix in ["", "-wal"] where access(test.path + suffix, F_OK) == 0 {
            try writeFile(copy.path + "/copy.db" + suffix, try readFile(test.path + suffix))
        }
        return Int(try integer("SELECT count(*) FROM ballots", in: copy.path + "/copy.db"))
    }

    @Test func `changes of polls are all or nothing too`() throws {
        let name = strdup("faults-polls-\(UInt64.random(in: 0 ... .max))")
        let disk = try #require(faults_create(name))
        defer {
            faults_destroy(disk)
            free(name)
        }
        var settings = SQLiteSettings()
        settings.vfs = String(cString: try #require(name))
        try changePolls(on: disk, settings)
    }

    private func changePolls(on disk: OpaquePointer, _ settings: SQLiteSettings) throws {
        let test = try TestStore(.sqlite, settings)
        let poll = try test.createPoll { $0.endTime = test.clock.now + 10 }
        _ = try test.sqlite.settle([test.ballot(1, in: poll, for: 0)])
        faults_arm(disk, 0, .max, SQLITE_FULL, 0)
        test.clock.now += 10
        #expect(throws: StoreError.self) { try test.sqlite.close(poll.id) }
        #expect(throws: StoreError.self) { try test.createPoll() }
        #expect(throws: StoreError.self) { try test.sqlite.delete(poll.id) }
        #expect(throws: StoreError.self) { try test.sqlite.makeDueTransitions(limit: 9) }
        #expect(try test.poll(poll.id)?.state == .open, "reads go on")
        faults_arm(disk, .max, 0, 0, 0)
        #expect(try test.sqlite.makeDueTransitions(limit: 9).map(\.1) == [.closed])
        #expect(try test.sqlite.list(.all, page: 1, pageSize: 9).count == 1)
        try test.expectConsistent(poll.id)
    }

    @Test func `a full database refuses ballots until there is room`() throws {
        let test = try TestStore()
        let poll = try test.createPoll()
        try test.sqlite.write { (connection) throws(SQLiteFailure) in
            let pages = try connection.integer("PRAGMA page_count")
            try connection.execute("PRAGMA max_page_count = \(pages + 3)")
        }
        var answered: Int64 = 0
        var reason: String?
        while reason == nil, answered < 10_000 {
            let first = Int(answered)
            do {
                let batch = (first..<first + 50).map { test.ballot($0, in: poll, for: 0) }
                _ = try test.sqlite.settle(batch)
                answered += 50
            } catch {
                guard case .unavailable(let why) = error else { throw error }
                reason = why
            }
        }
        #expect(reason?.contains("full") == true)
        #expect(try test.poll(poll.id)?.tally.ballots == answered)
        try test.sqlite.write { (connection) throws(SQLiteFailure) in
            try connection.execute("PRAGMA max_page_count = 100000")
        }
        #expect(
            try test.sqlite.settle([test.ballot(99_999, in: poll, for: 0)]).outcomes[0].isStored)
        try test.expectConsistent(poll.id)
    }
}

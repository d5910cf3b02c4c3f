import Glibc
import Polls
import TestRandom
import Testing

@testable import Store

/// Which files become or stay a database, and that the others stay as they are.
struct SQLiteFileTests {
    private let directory = TemporaryDirectory()
    private var path: String { directory.path + "/test.db" }

    private func open(
        _ path: String? = nil, schema: SQLiteSchema = .current,
        settings: SQLiteSettings = SQLiteSettings()
    ) throws -> SQLiteStore {
        try SQLiteStore(
            path: path ?? self.path, clock: SQLiteStore.systemClock, schema: schema,
            settings: settings)
    }

    /// Opens and closes; nil where it went well.
    private func reasonForRefusal(
        _ path: String? = nil, settings: SQLiteSettings = SQLiteSettings()
    ) -> String? {
        do {
            try open(path, settings: settings).close()
            return nil
        } catch StoreError.unusable(let reason) {
            return reason
        } catch {
            return "another error: \(error)"
        }
    }

    private func expectRefused(
        _ fragment: String, settings: SQLiteSettings = SQLiteSettings(),
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        let before = try readFile(path)
        let reason = reasonForRefusal(settings: settings)
        #expect(
            reason?.contains(fragment) == true, "\(reason ?? "opened")", sourceLocation: location)
        #expect(try readFile(path) == before, "untouched", sourceLocation: location)
    }

    /// A healthy database with `ballotCount` ballots, closed.
    private func makeDatabase(ballotCount: Int = 2000) throws {
        let store = try open()
        var fields = PollDraft.Fields()
        fields.title = "t"
        fields.options = ["a", "b"]
        let poll = try store.create(
            try PollDraft(fields, now: 0), hostKeyHash: [1], joinCode: "ABCDEF"
        ).poll
        let ballots = (0..<ballotCount).map { voter in
            Ballot(
                key: BallotKey(poll: poll.id, voter: VoterKey(high: 0, low: UInt64(voter))),
                pollID: poll.id, id: Int64(voter + 1), choices: Choices(mask: 1), edition: 0,
                allowsChange: false, voter: "voter \(voter)", castAt: 1, ticket: nil)
        }
        _ = try store.settle(ballots)
        store.close()
    }

    @Test func `a missing file becomes a database, and keeps its keys`() throws {
        let store = try open()
        let keys = store.keys
        #expect(keys.identity.count == 32 && keys.cookie.count == 32)
        #expect(keys.identity != keys.cookie)
        store.close()
        #expect(directory.names.contains("test.db.lock"))
        #expect(try text("PRAGMA journal_mode", in: path) == "wal")
        #expect(try integer("PRAGMA application_id", in: path) == SQLiteSchema.applicationID)
        #expect(try integer("PRAGMA user_version", in: path) == SQLiteSchema.current.version)
        withExtendedLifetime(store) {}
    }

    @Test func `keys are made once`() throws {
        var all: [[UInt8]] = []
        for _ in 0..<3 { all.append(try { try open().keys.identity }()) }
        #expect(Set(all).count == 1)
        let otherPath = directory.path + "/other.db"
        #expect(try { try open(otherPath).keys.identity }() != all[0])
    }

    @Test func `an empty file becomes a database`() throws {
        try writeFile(path, [])
        #expect(reasonForRefusal() == nil)
        #expect(try readFile(path).count > 0)
    }

    @Test func `an empty file beside a log was a database, and is refused`() throws {
        try writeFile(path, [])
        try writeFile(path + "-wal", Array(repeating: 7, count: 5000))
        try expectRefused("its log")
        #expect(try readFile(path + "-wal").count == 5000)
    }

    @Test(arguments: ["hello\n", "SQLite format 2\0 and so on"])
    func `a file of another kind is refused`(content: String) throws {
        try writeFile(path, Array((content + String(repeating: "x", count: 9000)).utf8))
        try expectRefused("not a SQLite database")
    }

    @Test(arguments: ["delete", "wal"])
    func `another program's database is refused`(journalMode: String) throws {
        try withDatabase(path) {
            try $0.execute("PRAGMA journal_mode = \(journalMode); CREATE TABLE t (a)")
        }
        try expectRefused("another program")
    }

    @Test func `another program's log is not copied into its database`() throws {
        // As a program that is running, or died, leaves it.
        let other = try SQLiteConnection(path: path, access: .create, vfs: nil)
        try other.execute("PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES (1)")
        let log = try readFile(path + "-wal")
        try expectRefused("another program")
        #expect(try readFile(path + "-wal") == log && !log.isEmpty)
        withExtendedLifetime(other) {}
    }

    @Test func `a newer schema is refused`() throws {
        try makeDatabase()
        try withDatabase(path) { try $0.execute("PRAGMA user_version = 999") }
        try expectRefused("newer")
    }

    @Test func `an older file climbs the ladder in one transaction`() throws {
        try makeDatabase(ballotCount: 10)
        let ladder = SQLiteSchema(
            steps: SQLiteSchema.current.steps
                + [
                    "ALTER TABLE polls ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'",
                    "CREATE TABLE more (a) STRICT",
                ].map { $0.replacing("(a)", with: "(a INTEGER)") })
        let keys = try { try open().keys.identity }()
        let store = try open(schema: ladder)
        #expect(store.keys.identity == keys, "keys survive")
        #expect(try store.list(.open, page: 1, pageSize: 9).polls[0].tally.ballots == 10)
        store.close()
        #expect(try integer("PRAGMA user_version", in: path) == ladder.version)
        #expect(try text("SELECT colour FROM polls", in: path) == "red")
        #expect(try integer("SELECT count(*) FROM more", in: path) == 0)
        withExtendedLifetime(store) {}
    }

    @Test func `an upgrade that fails leaves the old version whole`() throws {
        try makeDatabase(ballotCount: 10)
        let ladder = SQLiteSchema(
            steps: SQLiteSchema.current.steps + ["CREATE TABLE half (a INTEGER)", "NOT SQL"])
        #expect(throws: StoreError.self) { try open(schema: ladder) }
        #expect(try integer("PRAGMA user_version", in: path) == SQLiteSchema.current.version)
        #expect(
            try integer("SELECT count(*) FROM sqlite_schema WHERE name = 'half'", in: path) == 0)
        #expect(reasonForRefusal() == nil)
    }

    @Test(arguments: [1, 99, 100, 4096, 5000, 20_000])
    func `a truncated file is refused`(byteCount: Int) throws {
        try makeDatabase()
        try writeFile(path, Array(try readFile(path)[..<byteCount]))
        let before = try readFile(path)
        #expect(reasonForRefusal() != nil)
        #expect(try readFile(path) == before)
    }

    @Test func `a damaged page anywhere is refused`() throws {
        try makeDatabase()
        let healthy = try readFile(path)
        var generator = SeededGenerator(seed: 42)
        for page in 0..<(healthy.count / 4096) {
            var damaged = healthy
            for index in page * 4096..<(page + 1) * 4096 {
                damaged[index] = UInt8.random(in: 0...255, using: &generator)
            }
            try writeFile(path, damaged)
            #expect(reasonForRefusal() != nil, "page \(page)")
            #expect(try readFile(path) == damaged, "page \(page)")
        }
        try writeFile(path, healthy)
        #expect(reasonForRefusal() == nil)
    }

    @Test func `of a large file the ballots are checked when they are read`() throws {
        try makeDatabase()
        let root = try withDatabase(path) {
            try $0.integer("SELECT rootpage FROM sqlite_schema WHERE name = 'ballots'")
        }
        var damaged = try readFile(path)
        for index in Int(root - 1) * 4096..<Int(root) * 4096 { damaged[index] = 0xA5 }
        try writeFile(path, damaged)
        try expectRefused("damaged")
        var settings = SQLiteSettings()
        settings.fullCheckBytes = 0
        let store = try open(settings: settings)
        let id = try #require(PollID(1))
        #expect(throws: StoreError.self) { try store.audit(id) }
        #expect(throws: StoreError.self) { try store.ballots(of: id, after: nil, limit: 10) }
        let key = BallotKey(poll: id, voter: VoterKey(high: 9, low: 9))
        do {
            _ = try store.settle([
                Ballot(
                    key: key, pollID: id, id: 1, choices: Choices(mask: 1), edition: 0,
                    allowsChange: false, voter: "", castAt: 1, ticket: nil)
            ])
            Issue.record("a ballot was stored on a damaged page")
        } catch {
            guard case StoreError.unavailable = error else { throw error }
        }
    }

    @Test func `a second gateway on one file is refused, by any of its names`() throws {
        let store = try open()
        #expect(symlink(path, directory.path + "/link.db") == 0)
        for name in ["test.db", "link.db", "./test.db"] {
            let reason = reasonForRefusal(directory.path + "/" + name)
            #expect(reason?.contains("another gateway") == true, "\(name)")
        }
        #expect(try store.list(.all, page: 1, pageSize: 1).count == 0, "the first goes on")
    }

    @Test func `the lock goes with the store`() throws {
        for _ in 0..<3 { #expect(reasonForRefusal() == nil) }
    }

    @Test func `what is not a usable path is refused with its reason`() throws {
        #expect(reasonForRefusal("/no/such/directory/a.db")?.contains("No such file") == true)
        #expect(reasonForRefusal(directory.path) != nil)
        #expect(reasonForRefusal("") != nil)
        #expect(reasonForRefusal("/proc/a.db") != nil)
    }

    @Test func `a path that reads like a URI is a file's name`() throws {
        let name = directory.path + "/file:x?mode=memory"
        #expect(reasonForRefusal(name) == nil)
        #expect(directory.names.contains("file:x?mode=memory"))
    }

    @Test func `a log of another database is passed over`() throws {
        try makeDatabase(ballotCount: 10)
        let foreignPath = directory.path + "/foreign.db"
        let foreign = try SQLiteConnection(path: foreignPath, access: .create, vfs: nil)
        try foreign.execute("PRAGMA journal_mode = wal; CREATE TABLE t (a)")
        var log = try readFile(foreignPath + "-wal")
        log[40] ^= 0xFF  // a frame's salt: another file's frames never carry the header's
        try writeFile(path + "-wal", log)
        let store = try open()
        #expect(try store.list(.open, page: 1, pageSize: 9).polls[0].tally.ballots == 10)
        #expect(try store.audit(PollID(1)!).isConsistent)
        withExtendedLifetime(foreign) {}
    }

    @Test func `a log that was taken away is noticed, once`() throws {
        try makeDatabase(ballotCount: 10)
        func missingLog() throws -> String? {
            let store = try open()
            defer { store.close() }
            return store.missingLog
        }
        #expect(try missingLog() == nil, "it was closed")
        // As a gateway that is killed leaves it.
        try writeFile(path + ".lock", [1])
        #expect(try missingLog()?.hasSuffix("test.db-wal") == true)
        #expect(try missingLog() == nil)
    }

    @Test func `a killed gateway's log is no missing one`() throws {
        let path = directory.path + "/killed.db"
        let store = try open(path)
        try writeFile(directory.path + "/copy.db", try readFile(path))
        try writeFile(directory.path + "/copy.db-wal", try readFile(path + "-wal"))
        try writeFile(directory.path + "/copy.db.lock", try readFile(path + ".lock"))
        store.close()
        let copy = try open(directory.path + "/copy.db")
        #expect(copy.missingLog == nil)
        copy.close()
        #expect(try readFile(directory.path + "/copy.db.lock").isEmpty)
    }

    @Test func `another program that writes makes a commit wait, then unavailable`() throws {
        var settings = SQLiteSettings()
        settings.busyMilliseconds = 50
        let test = try TestStore(.sqlite, settings)
        let poll = try test.createPoll()
        let ballot = test.ballot(1, in: poll, for: 0)
        try withDatabase(test.path) { other in
            try other.execute("BEGIN IMMEDIATE")
            do {
                _ = try test.sqlite.settle([ballot])
                Issue.record("settled under another program's lock")
            } catch { guard case StoreError.unavailable = error else { throw error } }
            #expect(try test.poll(poll.id)?.tally.ballots == 0, "reads do not wait")
            try other.execute("COMMIT")
        }
        #expect(try test.sqlite.settle([ballot]).outcomes[0].isStored)
    }

    // MARK: Without migration

    @Test func `a missing file stays missing where nothing may be migrated`() throws {
        #expect(throws: StoreError.self) { try SQLiteStore(path: path, migrates: false) }
        #expect(throws: StoreError.self) { try SQLiteStore.check(path: path, migrates: false) }
        try SQLiteStore.check(path: path, migrates: true)
        #expect(access(path, F_OK) != 0)
    }

    @Test func `an older schema is refused, and left, where nothing may be migrated`() throws {
        try makeDatabase(ballotCount: 1)
        let newer = SQLiteSchema(steps: SQLiteSchema.current.steps + ["CREATE TABLE t (a)"])
        let before = try readFile(path)
        let refusal = #expect(throws: StoreError.self) {
            try SQLiteStore(
                path: path, migrates: false, clock: SQLiteStore.systemClock, schema: newer,
                settings: SQLiteSettings())
        }
        #expect("\(refusal!)".contains("run pollstream migrate"))
        #expect(try readFile(path) == before)
    }

    @Test func `a check opens what serve would open, and holds it no longer`() throws {
        try makeDatabase(ballotCount: 1)
        try SQLiteStore.check(path: path, migrates: false)
        let store = try SQLiteStore(path: path, migrates: false)
        #expect(throws: StoreError.self) { try SQLiteStore.check(path: path, migrates: true) }
        store.close()
    }
}

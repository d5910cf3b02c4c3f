import Glibc
import Polls
import TestServers
import Testing

@testable import Store

/// A clock that stands still until it is told.
final class TestClock: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var time: Int64
    /// Hears of every new time; set before the clock is shared.
    var changed: ((Int64) -> Void)?

    init(_ time: Int64 = 1_790_000_000_000) {
        self.time = time
        pthread_mutex_init(mutex, nil)
    }

    deinit { mutex.deallocate() }

    var now: Int64 {
        get {
            pthread_mutex_lock(mutex)
            defer { pthread_mutex_unlock(mutex) }
            return time
        }
        set {
            pthread_mutex_lock(mutex)
            time = newValue
            pthread_mutex_unlock(mutex)
            changed?(newValue)
        }
    }
}

/// A directory that goes when the test ends.
final class TemporaryDirectory: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/pollstream-store-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { fatalError("no temporary directory") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for name in names { unlink(path + "/" + name) }
        rmdir(path)
    }

    var names: [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}

/// A store with a clock that the test sets: a file in a directory of its own, or a database of its own
/// on a server that tests share.
final class TestStore {
    let backend: Backend
    let directory = TemporaryDirectory()
    let clock = TestClock()
    private(set) var store: any AnyStore
    let settings: SQLiteSettings
    /// On PostgreSQL.
    let database: String
    private let deleteSlice: Int64?
    private var nextCode = 0
    private var nextBallotID: Int64 = 1

    /// - Parameter deleteSlice: instead of the store's own.
    init(
        _ backend: Backend = .sqlite, _ settings: SQLiteSettings = SQLiteSettings(),
        deleteSlice: Int64? = nil
    ) throws {
        self.backend = backend
        self.deleteSlice = deleteSlice
        var settings = settings
        if let deleteSlice { settings.deleteSlice = deleteSlice }
        self.settings = settings
        switch backend {
        case .sqlite:
            database = ""
            let clock = clock
            store = try SQLiteStore(
                path: directory.path + "/test.db", clock: { clock.now }, schema: .current,
                settings: settings)
        case .postgres:
            database = PrivatePostgres.shared.createDatabase()
            store = try Self.connect(database, deleteSlice)
            let database = database
            clock.changed = { Self.setClock(of: database, to: $0) }
            clock.changed?(clock.now)
        }
    }

    var path: String { directory.path + "/test.db" }

    var sqlite: SQLiteStore {
        guard let store = store as? SQLiteStore else { fatalError("a test of SQLite alone") }
        return store
    }

    private static func connect(_ database: String, _ deleteSlice: Int64?) throws -> PostgresParts {
        var settings = PostgresSettings()
        if let deleteSlice { settings.deleteSlice = deleteSlice }
        return try PostgresParts(
            PostgresStore(
                conninfo: PrivatePostgres.shared.conninfo(database), settings: settings))
    }

    /// The database's clock stands where it is put.
    private static func setClock(of database: String, to now: Int64) {
        PrivatePostgres.shared.psql(
            """
            CREATE OR REPLACE FUNCTION pollstream.unix_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
            'SELECT \(now)'
            """, in: database)
    }

    /// As a gateway that starts again.
    func reopen() throws {
        switch backend {
        case .sqlite:
            sqlite.close()
            let clock = clock
            store = try SQLiteStore(
                path: path, clock: { clock.now }, schema: .current, settings: settings)
        case .postgres: store = try Self.connect(database, deleteSlice)
        }
    }

    /// Runs SQL past the store.
    func execute(_ sql: String) throws {
        switch backend {
        case .sqlite: try withDatabase(path) { try $0.execute(sql) }
        case .postgres: run(sql)
        }
    }

    func integer(_ sql: String) throws -> Int64 {
        switch backend {
        case .sqlite: try withDatabase(path) { try $0.integer(sql) }
        case .postgres: try #require(Int64(run(sql)))
        }
    }

    @discardableResult
    private func run(_ sql: String) -> String {
        PrivatePostgres.shared.psql("SET search_path TO pollstream; \(sql)", in: database)
    }

    func change(
        title: String? = nil, results: ResultsVisibility? = nil, endTime: Int64?? = nil,
        options: [String]? = nil
    ) throws -> PollChange {
        try PollChange(
            title: title, description: nil, results: results, endTime: endTime, options: options,
            now: clock.now)
    }

    /// Creates a poll of two options; `edit` changes what is asked for.
    func createPoll(_ edit: (inout PollDraft.Fields) -> Void = { _ in }) throws -> Poll {
        nextCode += 1
        return try store.create(
            draft(edit), hostKeyHash: [1, 2, 3], joinCode: "CODE\(nextCode)"
        ).poll
    }

    func draft(_ edit: (inout PollDraft.Fields) -> Void = { _ in }) throws -> PollDraft {
        var fields = PollDraft.Fields()
        fields.title = "Lunch?"
        fields.options = ["Soup", "Salad"]
        edit(&fields)
        return try PollDraft(fields, now: clock.now)
    }

    /// A ballot with an id of its own. - Parameter voter: equal numbers are one voter.
    func ballot(_ voter: Int, in poll: Poll, for position: Int, castAt: Int64 = 5) -> Ballot {
        nextBallotID += 1
        return Ballot(
            key: BallotKey(
                poll: poll.id, voter: VoterKey(high: UInt16(voter & 0xFFFF), low: UInt64(voter))),
            pollID: poll.id, id: nextBallotID, choices: Choices(mask: 1 << UInt64(position)),
            edition: poll.edition, allowsChange: poll.allowsChange, voter: "voter \(voter)",
            castAt: castAt, ticket: nil)
    }

    func settleOne(_ ballot: Ballot) throws -> BallotOutcome {
        try store.settle([ballot]).outcomes[0]
    }

    func poll(_ id: PollID) throws -> Poll? { try store.read([id])[0]?.poll }

    /// Tally, ballots and file agree.
    func expectConsistent(_ id: PollID, _ location: SourceLocation = #_sourceLocation) throws {
        let audit = try store.audit(id)
        #expect(audit.isConsistent, "\(audit)", sourceLocation: location)
        if backend == .sqlite { #expect(try integrity() == "ok", sourceLocation: location) }
    }

    func integrity() throws -> String {
        try SQLiteConnection(path: path, access: .read, vfs: nil).text("PRAGMA integrity_check")
    }
}

/// What SQLite's shell would be used for.
func withDatabase<R>(_ path: String, _ body: (SQLiteConnection) throws -> R) throws -> R {
    try body(SQLiteConnection(path: path, access: .create, vfs: nil))
}

func integer(_ sql: String, in path: String) throws -> Int64 {
    try withDatabase(path) { try $0.integer(sql) }
}

func text(_ sql: String, in path: String) throws -> String {
    try withDatabase(path) { try $0.text(sql) }
}

func readFile(_ path: String) throws -> [UInt8] {
    let file = try #require(fopen(path, "r"))
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = fread(&block, 1, block.count, file)
        if count == 0 { return bytes }
        bytes += block[..<count]
    }
}

func writeFile(_ path: String, _ bytes: [UInt8]) throws {
    let file = try #require(fopen(path, "w"))
    #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
    fclose(file)
}

import CSQLite
import Threads

/// Bounds of a SQLiteStore. A frame of the log is a page of 4 KiB.
struct SQLiteSettings: Sendable {
    /// From here on each commit copies what it can of the log into the database: 32 MiB. A page that
    /// many commits changed is copied once: 4,000 frames cost 12 % more CPU a ballot, 16,000 saved
    /// nothing.
    var checkpointFrames: Int32 = 8_000
    /// From here on it waits for readers to leave the log, so that it begins anew: 96 MiB.
    var restartFrames: Int32 = 24_000
    /// For another program that writes to the database.
    var busyMilliseconds: Int32 = 2_000
    /// Ballots deleted in one transaction; what waits for it waits for some 10 ms.
    var deleteSlice: Int64 = 5_000
    /// Up to here the whole file is checked at the start, at some 300 MB/s.
    var fullCheckBytes: Int64 = 16 << 20
    /// SQLite's layer below; tests put faults there.
    var vfs: String?
}

/// Polls and ballots in one SQLite file (3.38 or later), for one gateway.
///
/// Any thread may call anything. Ledger and Catalogue share the one connection that writes, in the
/// order in which they come; reads have connections of their own and wait for no commit.
///
/// `@unchecked Sendable`: the pools lend a connection to one thread at a time; the rest is constant.
package final class SQLiteStore: @unchecked Sendable {
    package let keys: StoreKeys
    /// Somebody has taken away the log of a database whose gateway was killed, and with it perhaps the
    /// ballots that were counted last; where that is so, its path.
    package let missingLog: String?

    let clock: @Sendable () -> Int64
    let settings: SQLiteSettings
    private let lockFile: LockFile
    private let writer: ConnectionPool
    private let reader: ConnectionPool
    private let exports: ConnectionPool
    private let eventReader: ConnectionPool

    /// - Parameters:
    ///   - path: of the database file; it and `PATH.lock` are made where they are missing.
    ///   - migrates: makes or upgrades the schema, and the file; else such a file is refused.
    ///   - clock: the database's clock, in Unix milliseconds.
    /// - Throws: `.unusable` where the file is not ours to use, which leaves it as it is;
    ///   `.unavailable` where it may work later.
    package convenience init(
        path: String, migrates: Bool = true,
        clock: @escaping @Sendable () -> Int64 = SQLiteStore.systemClock
    ) throws(StoreError) {
        try self.init(
            path: path, migrates: migrates, clock: clock, schema: .current,
            settings: SQLiteSettings())
    }

    init(
        path: String, migrates: Bool = true, clock: @escaping @Sendable () -> Int64,
        schema: SQLiteSchema, settings: SQLiteSettings
    ) throws(StoreError) {
        try Self.expectLibrary()
        let file = try SQLiteFile(path: path, settings: settings)
        lockFile = try LockFile(path: file.path + ".lock")
        missingLog = lockFile.wasLeftOpen && file.lacksLog ? file.path + "-wal" : nil
        keys = try file.prepare(schema, migrates: migrates)
        writer = ConnectionPool(size: 1) { () throws(StoreError) in try file.openWriter() }
        reader = ConnectionPool(size: 1) { () throws(StoreError) in try file.openReader() }
        exports = ConnectionPool(size: 2) { () throws(StoreError) in try file.openReader() }
        eventReader = ConnectionPool(size: 1) { () throws(StoreError) in try file.openReader() }
        self.clock = clock
        self.settings = settings
        // What cannot be opened is said at the start, not by the first ballot.
        try writer.withConnection { (_) throws(StoreError) in }
        lockFile.noteOpen()
    }

    /// Whether the file could be opened; it is left as it is, and not made where it is missing.
    /// - Throws: as `init`.
    package static func check(path: String, migrates: Bool) throws(StoreError) {
        try expectLibrary()
        let file = try SQLiteFile(path: path, settings: SQLiteSettings())
        let lock = try LockFile(path: file.path + ".lock")
        defer { extendLifetime(lock) }
        try file.check(.current, migrates: migrates)
    }

    private static func expectLibrary() throws(StoreError) {
        guard sqlite3_libversion_number() >= 3_038_000 else {
            throw .unusable(
                reason: "SQLite \(String(cString: sqlite3_libversion())) is older than 3.38")
        }
    }

    deinit { close() }

    /// Waits for what is under way; everything later throws `.unavailable`. The writer goes last:
    /// it copies the log into the database. Then another gateway may have the file. Idempotent.
    package func close() {
        exports.close()
        eventReader.close()
        reader.close()
        writer.close()
        lockFile.release()
    }

    package static let systemClock: @Sendable () -> Int64 = Clock.unixMilliseconds

    // MARK: Transactions

    /// Runs `body` in a transaction that has the write lock from its beginning, so that whatever it
    /// reads, the clock included, it reads after everybody else's commit.
    func write<R>(_ body: (SQLiteConnection) throws(SQLiteFailure) -> R) throws(StoreError) -> R {
        try writer.withConnection { (connection) throws(StoreError) in
            let result: R
            do throws(SQLiteFailure) {
                try connection.statement("BEGIN IMMEDIATE").run()
                result = try body(connection)
            } catch {
                connection.rollBack()
                throw Self.error(error)
            }
            do throws(SQLiteFailure) {
                try connection.statement("COMMIT").run()
            } catch {
                connection.rollBack()
                throw Self.commitError(error)
            }
            boundLog(connection)
            return result
        }
    }

    /// Runs `body` on one snapshot of everything committed before.
    func read<R>(_ body: (SQLiteConnection) throws(SQLiteFailure) -> R) throws(StoreError) -> R {
        try Self.read(from: reader, body)
    }

    /// The same on a connection for long reads: two at once, further ones wait.
    func export<R>(_ body: (SQLiteConnection) throws(SQLiteFailure) -> R) throws(StoreError) -> R {
        try Self.read(from: exports, body)
    }

    /// The same for what is told to other services.
    func readEvents<R>(_ body: (SQLiteConnection) throws(SQLiteFailure) -> R) throws(StoreError)
        -> R
    {
        try Self.read(from: eventReader, body)
    }

    private static func read<R>(
        from pool: ConnectionPool, _ body: (SQLiteConnection) throws(SQLiteFailure) -> R
    ) throws(StoreError) -> R {
        try pool.withConnection { (connection) throws(StoreError) in
            defer { connection.rollBack() }
            do throws(SQLiteFailure) {
                try connection.statement("BEGIN").run()
                return try body(connection)
            } catch { throw Self.error(error) }
        }
    }

    private static func error(_ failure: SQLiteFailure) -> StoreError {
        switch failure {
        case .refused(let error): error
        case .failed(_, let reason): .unavailable(reason: reason)
        }
    }

    /// A COMMIT that could not write a frame leaves a log that no reader and no recovery takes for
    /// a commit. After an I/O error the last frame may be there, and only its fsync failed: what a
    /// crash would make of it nobody knows until the next commit has overwritten it.
    private static func commitError(_ failure: SQLiteFailure) -> StoreError {
        if case .failed(let code, let reason) = failure, code & 0xFF == SQLITE_IOERR {
            return .commitUnknown(reason: reason)
        }
        return error(failure)
    }

    /// SQLite copies the log by itself only as far as readers let it, and begins anew only when
    /// there is none: under constant readers the log would grow for ever.
    private func boundLog(_ connection: SQLiteConnection) {
        guard connection.walFrames >= settings.checkpointFrames else {
            connection.restartAtFrames = nil
            return
        }
        // What fails here is tried again after the next commit; this one is durable.
        if connection.walFrames < connection.restartAtFrames ?? settings.restartFrames {
            _ = connection.checkpoint(restart: false)
            return
        }
        connection.setBusyTimeout(milliseconds: 100)
        let isRestarted = connection.checkpoint(restart: true)
        connection.setBusyTimeout(milliseconds: settings.busyMilliseconds)
        // A reader that stays (a backup, a person's shell) must not cost every commit 100 ms.
        connection.restartAtFrames =
            isRestarted ? nil : connection.walFrames + settings.checkpointFrames
    }
}

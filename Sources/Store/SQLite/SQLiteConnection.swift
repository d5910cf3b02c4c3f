import CSQLite

/// Why a transaction did not go through. Inside SQLiteStore only, which turns it into a StoreError
/// where it knows whether anything can have been stored.
enum SQLiteFailure: Error {
    /// SQLite's extended result code, and what was tried, for the log.
    case failed(code: Int32, reason: String)
    /// A rule said no; the database is well.
    case refused(StoreError)
}

/// One connection to a SQLite database. For one thread at a time; `ConnectionPool` sees to that.
final class SQLiteConnection {
    enum Access { case create, write, read }

    let handle: OpaquePointer
    /// It failed in a way after which SQLite is better given a fresh one.
    private(set) var isBroken = false
    /// Frames in the write-ahead log after the last commit of this connection.
    fileprivate(set) var walFrames: Int32 = 0
    /// Where the next attempt to begin the log anew is due, after one that readers prevented.
    var restartAtFrames: Int32?
    private var statements: [String: SQLiteStatement] = [:]

    /// - Parameters:
    ///   - path: absolute; anything else might be taken for a URI.
    ///   - vfs: SQLite's layer below, nil for the operating system itself.
    init(path: String, access: Access, vfs: String?) throws(SQLiteFailure) {
        let flags =
            switch access {
            case .create: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
            case .write: SQLITE_OPEN_READWRITE
            case .read: SQLITE_OPEN_READONLY
            }
        var handle: OpaquePointer?
        let result = sqlite3_open_v2(path, &handle, flags | SQLITE_OPEN_NOMUTEX, vfs)
        guard let handle else {
            throw .failed(code: SQLITE_NOMEM, reason: "open: out of memory")
        }
        guard result == SQLITE_OK else {
            defer { sqlite3_close(handle) }
            throw .failed(
                code: sqlite3_extended_errcode(handle),
                reason: "open: \(String(cString: sqlite3_errmsg(handle)))")
        }
        self.handle = handle
        sqlite3_extended_result_codes(handle, 1)
        // What a damaged or hostile schema could reach for is shut.
        _ = ps_sqlite_set(handle, SQLITE_DBCONFIG_DEFENSIVE, 1)
        _ = ps_sqlite_set(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    }

    deinit {
        statements.removeAll()
        let result = sqlite3_close(handle)
        assert(result == SQLITE_OK, "a statement outlives its connection")
    }

    /// Leaves the log as it is when the last connection closes: for a file that may not be ours.
    var leavesLogAtClose = false {
        didSet {
            _ = ps_sqlite_set(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, leavesLogAtClose ? 1 : 0)
        }
    }

    /// From here on commits leave the log to `SQLiteStore`, which bounds it.
    func followLog() {
        // The connection outlives its own hook.
        let context = Unmanaged.passUnretained(self).toOpaque()
        sqlite3_wal_hook(
            handle,
            { context, _, _, frames in
                guard let context else { return SQLITE_OK }
                let connection = Unmanaged<SQLiteConnection>.fromOpaque(context)
                connection.takeUnretainedValue().walFrames = frames
                return SQLITE_OK
            }, context)
    }

    /// Copies what it can of the log into the database; `.restart` also waits for readers, as long
    /// as the busy timeout allows, so that the next commit writes to the log's beginning.
    /// - Returns: whether the whole log has been copied, and for `.restart` left by its readers.
    func checkpoint(restart: Bool) -> Bool {
        var frames: Int32 = 0
        var copied: Int32 = 0
        let mode = restart ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE
        let result = sqlite3_wal_checkpoint_v2(handle, nil, mode, &frames, &copied)
        return result == SQLITE_OK && frames == copied
    }

    func setBusyTimeout(milliseconds: Int32) { sqlite3_busy_timeout(handle, milliseconds) }

    var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// Rows that the last statement inserted, changed or deleted.
    var changedRows: Int { Int(sqlite3_changes64(handle)) }

    var lastInsertedID: Int64 { sqlite3_last_insert_rowid(handle) }

    /// Prepared once, then kept. `sql` must come from a fixed set.
    func statement(_ sql: String) throws(SQLiteFailure) -> SQLiteStatement {
        if let statement = statements[sql] { return statement }
        let statement = try SQLiteStatement(sql, on: self)
        statements[sql] = statement
        return statement
    }

    /// Runs statements that are used once; rows are passed over.
    func execute(_ sql: String) throws(SQLiteFailure) {
        guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw failure(sql) }
    }

    func integer(_ sql: String) throws(SQLiteFailure) -> Int64 {
        let statement = try SQLiteStatement(sql, on: self)
        return try statement.first { (row) throws(SQLiteFailure) in row.integer(0) } ?? 0
    }

    func text(_ sql: String) throws(SQLiteFailure) -> String {
        let statement = try SQLiteStatement(sql, on: self)
        return try statement.first { (row) throws(SQLiteFailure) in row.text(0) } ?? ""
    }

    /// Ends the transaction without its changes, whatever state it is in.
    func rollBack() {
        guard isInTransaction else { return }  // SQLite has rolled back by itself
        if sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) != SQLITE_OK, isInTransaction {
            isBroken = true
        }
    }

    /// What has just failed. - Parameter code: nil asks the connection.
    func failure(_ sql: String, code: Int32? = nil) -> SQLiteFailure {
        let message = String(
            cString: code.map { sqlite3_errstr($0) } ?? sqlite3_errmsg(handle))
        let code = code ?? sqlite3_extended_errcode(handle)
        switch code & 0xFF {
        case SQLITE_IOERR, SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_CANTOPEN, SQLITE_READONLY,
            SQLITE_MISUSE, SQLITE_SCHEMA, SQLITE_PROTOCOL:
            isBroken = true
        default: break
        }
        return .failed(code: code, reason: "\(sql.prefix(40)): \(message) (\(code))")
    }
}

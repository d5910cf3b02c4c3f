import CSQLite
import Glibc

/// The file below a SQLiteStore: held by one gateway, looked over before it is written to.
///
/// Anything that is not a healthy PollStream database of this version or an older one is refused
/// and left as it is. A file that is missing or empty becomes a database, unless a log lies beside
/// it, which means that the database itself was lost.
///
/// A log (`-wal`) of another database carries other salts and checksums, so SQLite passes over it.
/// A log that was taken away takes with it what had not been copied into the database yet; nothing
/// in the file can tell, but the lock file can: a log is there as long as a database is open.
struct SQLiteFile: Sendable {
    let path: String
    let settings: SQLiteSettings

    /// - Parameter path: made absolute here, links resolved, so that one database has one lock.
    init(path: String, settings: SQLiteSettings) throws(StoreError) {
        let (directory, name) = Self.split(path)
        if let resolved = Self.resolve(path) {
            self.path = resolved
        } else if !name.isEmpty, let directory = Self.resolve(directory) {
            self.path = directory == "/" ? "/" + name : directory + "/" + name
        } else {
            throw .unusable(
                reason: "\(path): the directory cannot be used: \(Self.errorText(errno))")
        }
        self.settings = settings
    }

    /// Looks the file over, makes or upgrades its tables, and turns on the write-ahead log.
    /// - Parameter migrates: else a file that is missing or has an older schema is refused.
    func prepare(_ schema: SQLiteSchema, migrates: Bool) throws(StoreError) -> StoreKeys {
        try refuseLostDatabase()
        do throws(SQLiteFailure) {
            let connection = try SQLiteConnection(
                path: path, access: migrates ? .create : .write, vfs: settings.vfs)
            connection.leavesLogAtClose = true
            connection.setBusyTimeout(milliseconds: settings.busyMilliseconds)
            let version = try inspect(connection, schema)
            guard sqlite3_db_readonly(connection.handle, "main") == 0 else {
                throw .refused(
                    .unusable(reason: "\(path): no right to write to it"))
            }
            if version < schema.version {
                guard migrates else { throw .refused(outdated(version, schema)) }
                try schema.upgrade(connection, from: version)
            }
            guard try connection.text("PRAGMA journal_mode = WAL") == "wal" else {
                throw .refused(
                    .unusable(reason: "\(path): the file system has no shared memory for it"))
            }
            return try SQLiteSchema.readKeys(connection)
        } catch {
            throw openError(error)
        }
    }

    /// Looks the file over and changes nothing.
    /// - Parameter migrates: whether it may be missing or have an older schema.
    func check(_ schema: SQLiteSchema, migrates: Bool) throws(StoreError) {
        try refuseLostDatabase()
        if migrates, Self.byteCount(path) ?? 0 == 0 { return }
        do throws(SQLiteFailure) {
            let connection = try SQLiteConnection(path: path, access: .write, vfs: settings.vfs)
            connection.leavesLogAtClose = true
            connection.setBusyTimeout(milliseconds: settings.busyMilliseconds)
            let version = try inspect(connection, schema)
            if version < schema.version, !migrates { throw .refused(outdated(version, schema)) }
        } catch {
            throw openError(error)
        }
    }

    private func outdated(_ version: Int64, _ schema: SQLiteSchema) -> StoreError {
        .unusable(
            reason: "\(path): schema version \(version), older than \(schema.version); "
                + "run pollstream migrate")
    }

    /// For the one writer. `synchronous` is FULL: a commit returns after its fsync.
    func openWriter() throws(StoreError) -> SQLiteConnection {
        do throws(SQLiteFailure) {
            let connection = try SQLiteConnection(path: path, access: .write, vfs: settings.vfs)
            connection.setBusyTimeout(milliseconds: settings.busyMilliseconds)
            // The file may have been exchanged while a broken connection was put away.
            guard try connection.integer("PRAGMA application_id") == SQLiteSchema.applicationID
            else { throw .refused(.unavailable(reason: "\(path) was exchanged")) }
            // Deleted voters' names leave the file. 32 MiB of pages keep a large poll's index warm.
            try connection.execute(
                """
                PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON;
                PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32768;
                PRAGMA journal_size_limit = \(Int64(settings.checkpointFrames) * 4096)
                """)
            connection.followLog()
            return connection
        } catch { throw useError(error) }
    }

    /// For reads, which see all that was committed before them and never wait for a commit.
    func openReader() throws(StoreError) -> SQLiteConnection {
        do throws(SQLiteFailure) {
            let connection = try SQLiteConnection(path: path, access: .read, vfs: settings.vfs)
            connection.setBusyTimeout(milliseconds: settings.busyMilliseconds)
            try connection.execute("PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY")
            return connection
        } catch { throw useError(error) }
    }

    /// Whether a database is there without the log that one has which was not closed.
    var lacksLog: Bool {
        (Self.byteCount(path) ?? 0) > 0 && Self.byteCount(path + "-wal") == nil
    }

    /// - Returns: the schema's version; 0 for an empty file.
    private func inspect(_ connection: SQLiteConnection, _ schema: SQLiteSchema)
        throws(SQLiteFailure) -> Int64
    {
        guard try connection.integer("PRAGMA page_count") > 0 else { return 0 }
        guard try connection.integer("PRAGMA application_id") == SQLiteSchema.applicationID else {
            throw .refused(.unusable(reason: "\(path): a database of another program"))
        }
        let version = try connection.integer("PRAGMA user_version")
        guard (1...schema.version).contains(version) else {
            throw .refused(
                .unusable(
                    reason: "\(path): schema version \(version), made by a newer PollStream; "
                        + "this one knows versions up to \(schema.version)"))
        }
        try check(connection)
        return version
    }

    /// Walks the pages. Reading gigabytes would keep a gateway from starting for many seconds, so of
    /// a large file the ballots are left out: a damaged page among them is found when it is read,
    /// and refuses that read or commit.
    private func check(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        let bytes =
            try connection.integer("PRAGMA page_count") * connection.integer("PRAGMA page_size")
        let checks =
            bytes <= settings.fullCheckBytes
            ? ["PRAGMA quick_check(1)"]
            : ["keys", "polls", "options", "tallies"].map { "PRAGMA quick_check('\($0)')" }
        for check in checks {
            let answer = try connection.text(check)
            guard answer == "ok" else {
                throw .failed(code: SQLITE_CORRUPT, reason: "quick_check: \(answer)")
            }
        }
    }

    /// What SQLite would take for an empty file and write over.
    private func refuseLostDatabase() throws(StoreError) {
        let byteCount = Self.byteCount(path) ?? 0
        // SQLite reports a size of 1 as 0, for the sake of an old file system.
        if byteCount == 1 { throw .unusable(reason: "\(path): not a SQLite database") }
        guard byteCount == 0, (Self.byteCount(path + "-wal") ?? 0) > 0 else { return }
        throw .unusable(
            reason: "\(path): missing or empty, but its log \(path)-wal is there; "
                + "restore the database or move the log away")
    }

    /// At the start most failures mean that the file cannot be used as it is.
    private func openError(_ failure: SQLiteFailure) -> StoreError {
        guard case .failed(let code, let reason) = failure else { return useError(failure) }
        let what: String
        switch code & 0xFF {
        case SQLITE_NOTADB: what = "not a SQLite database"
        case SQLITE_CORRUPT: what = "damaged (\(reason))"
        case SQLITE_CANTOPEN, SQLITE_PERM: what = "cannot be opened (\(reason))"
        case SQLITE_READONLY: what = "no right to write to it (\(reason))"
        case SQLITE_BUSY, SQLITE_LOCKED: what = "locked by another program"
        default: return .unavailable(reason: "\(path): \(reason)")
        }
        return .unusable(reason: "\(path): \(what)")
    }

    private func useError(_ failure: SQLiteFailure) -> StoreError {
        switch failure {
        case .refused(let error): error
        case .failed(_, let reason): .unavailable(reason: reason)
        }
    }

    // MARK: Paths

    private static func split(_ path: String) -> (directory: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        let directory = slash == path.startIndex ? "/" : String(path[..<slash])
        return (directory, String(path[path.index(after: slash)...]))
    }

    private static func resolve(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// nil where there is no such file.
    private static func byteCount(_ path: String) -> Int? {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : nil
    }

    static func errorText(_ code: Int32) -> String { String(cString: strerror(code)) }
}

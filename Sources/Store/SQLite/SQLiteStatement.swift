import CSQLite

/// A prepared statement. Whatever runs it resets it before it returns: a statement left at a row
/// would hold its read snapshot, and with it the write-ahead log, for ever.
final class SQLiteStatement {
    private let handle: OpaquePointer
    private unowned let connection: SQLiteConnection
    private let sql: String
    private var bindResult: Int32 = SQLITE_OK

    /// A parameter, for statements that do not run per ballot.
    enum Value {
        case integer(Int64?)
        case text(String)
        case blob([UInt8])
    }

    init(_ sql: String, on connection: SQLiteConnection) throws(SQLiteFailure) {
        var handle: OpaquePointer?
        let result = sqlite3_prepare_v3(
            connection.handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &handle, nil)
        guard result == SQLITE_OK, let handle else { throw connection.failure(sql) }
        self.handle = handle
        self.connection = connection
        self.sql = sql
    }

    deinit { sqlite3_finalize(handle) }

    // MARK: Parameters, from 1

    func with(_ values: Value...) -> SQLiteStatement {
        for (position, value) in values.enumerated() {
            let parameter = Int32(position + 1)
            switch value {
            case .integer(let integer?): bind(parameter, integer)
            case .integer(nil): bindNull(parameter)
            case .text(let text): bind(parameter, text)
            case .blob(let bytes): bytes.withUnsafeBytes { bind(parameter, blob: $0) }
            }
        }
        return self
    }

    func bind(_ parameter: Int32, _ integer: Int64) {
        note(sqlite3_bind_int64(handle, parameter, integer))
    }

    func bindNull(_ parameter: Int32) { note(sqlite3_bind_null(handle, parameter)) }

    func bind(_ parameter: Int32, _ text: String) {
        var text = text
        text.withUTF8 { bytes in
            // An empty buffer may have no address, which SQLite would take for NULL.
            let start = bytes.baseAddress.map { UnsafeRawPointer($0) }
            let result =
                start.map {
                    sqlite3_bind_text(
                        handle, parameter, $0.assumingMemoryBound(to: CChar.self),
                        Int32(bytes.count), ps_sqlite_transient())
                } ?? sqlite3_bind_text(handle, parameter, "", 0, ps_sqlite_static())
            note(result)
        }
    }

    func bind(_ parameter: Int32, blob: UnsafeRawBufferPointer) {
        note(
            sqlite3_bind_blob(
                handle, parameter, blob.baseAddress, Int32(blob.count), ps_sqlite_transient()))
    }

    /// Memory is the one reason why binding fails; the run that follows reports it.
    private func note(_ result: Int32) { if result != SQLITE_OK { bindResult = result } }

    // MARK: Running

    /// Runs it to its end; rows are passed over.
    func run() throws(SQLiteFailure) { try forEachRow { (_) throws(SQLiteFailure) in } }

    /// - Returns: what `read` makes of the first row; nil where there is none.
    func first<R>(_ read: (SQLiteStatement) throws(SQLiteFailure) -> R) throws(SQLiteFailure) -> R?
    {
        defer { sqlite3_reset(handle) }
        guard try step() else { return nil }
        let result = try read(self)
        // A statement that writes and answers is done only at its end.
        while sqlite3_stmt_readonly(handle) == 0, try step() {}
        return result
    }

    func forEachRow(_ body: (SQLiteStatement) throws(SQLiteFailure) -> Void) throws(SQLiteFailure) {
        // The result repeats the failure that `step` has thrown.
        defer { sqlite3_reset(handle) }
        while try step() { try body(self) }
    }

    private func step() throws(SQLiteFailure) -> Bool {
        guard bindResult == SQLITE_OK else {
            defer { bindResult = SQLITE_OK }
            throw connection.failure(sql, code: bindResult)
        }
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default: throw connection.failure(sql)
        }
    }

    // MARK: Columns of the present row, from 0

    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    func optionalInteger(_ column: Int32) -> Int64? {
        sqlite3_column_type(handle, column) == SQLITE_NULL ? nil : integer(column)
    }

    func text(_ column: Int32) -> String { String(decoding: bytes(column), as: UTF8.self) }

    func blob(_ column: Int32) -> [UInt8] { Array(bytes(column)) }

    /// Borrowed until the statement steps again.
    func bytes(_ column: Int32) -> UnsafeRawBufferPointer {
        // First the pointer, then the length: SQLite may convert the value for the first call.
        let start = sqlite3_column_blob(handle, column)
        return UnsafeRawBufferPointer(
            start: start, count: Int(sqlite3_column_bytes(handle, column)))
    }
}

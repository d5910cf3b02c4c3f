import CLibpq
import Glibc
import Threads

/// One connection to a PostgreSQL server, through libpq. For one thread at a time.
///
/// Every call has a deadline, in monotonic nanoseconds: libpq never blocks, poll(2) waits. Whatever
/// is left undone then is given up with the connection, since nobody knows what the server makes of
/// it. Only the lookup of a host name blocks as long as the resolver does.
final class PostgresConnection {
    private let handle: OpaquePointer
    /// It is of no further use.
    private(set) var isBroken = false
    var clock = ServerClock()
    /// A commit on it stopped waiting for the server's standby.
    private let hasStoppedWaiting: UnsafeMutablePointer<Bool>
    /// Statements that the server keeps for us, by name; nil behind a pooler that mixes sessions up.
    private var preparedNames: Set<String>? = []

    /// - Parameters:
    ///   - conninfo: a URI or keywords and values, as libpq takes them; the environment and the
    ///     password file fill in what is missing.
    ///   - host: instead of those in `conninfo`.
    ///   - deadline: for all of it, the server's greeting included.
    init(conninfo: String, host: (host: String, port: String)? = nil, deadline: Int64)
        throws(PostgresFailure)
    {
        // What stands in `conninfo`, being last, wins over all but the encoding.
        var parameters = [
            ("fallback_application_name", "pollstream"),
            // A server that is gone without a word is noticed in some 10 s where nothing is asked.
            ("keepalives_idle", "5"), ("keepalives_interval", "2"), ("keepalives_count", "3"),
            ("tcp_user_timeout", "10000"),
            ("dbname", conninfo), ("client_encoding", "UTF8"),
        ]
        if let host { parameters += [("host", host.host), ("port", host.port)] }
        let handle = Self.withStrings(parameters.map(\.0)) { keywords in
            Self.withStrings(parameters.map(\.1)) { values in
                PQconnectStartParams(keywords, values, 1)
            }
        }
        guard let handle else { throw .lost(reason: "connect: out of memory") }
        self.handle = handle
        hasStoppedWaiting = .allocate(capacity: 1)
        hasStoppedWaiting.initialize(to: false)
        ps_pq_watch_notices(handle, hasStoppedWaiting)
        try finishConnecting(until: deadline)
        guard PQsetnonblocking(handle, 1) == 0 else { throw lost("connect") }
    }

    deinit {
        PQfinish(handle)
        hasStoppedWaiting.deallocate()
    }

    var serverVersion: Int { Int(PQserverVersion(handle)) }

    private func finishConnecting(until deadline: Int64) throws(PostgresFailure) {
        var state = PGRES_POLLING_WRITING
        while state != PGRES_POLLING_OK {
            guard state != PGRES_POLLING_FAILED, PQstatus(handle) != CONNECTION_BAD else {
                throw lost("connect")
            }
            let events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT
            try wait(for: events, until: deadline, "connect")
            state = PQconnectPoll(handle)
        }
    }

    // MARK: Statements

    /// Runs one or more statements without parameters, together one transaction unless they say
    /// otherwise. - Returns: the rows of the last one that has any.
    @discardableResult
    func execute(_ sql: String, until deadline: Int64) throws(PostgresFailure) -> PostgresRows {
        guard PQsendQuery(handle, sql) == 1 else { throw lost("send") }
        return try receive(until: deadline)
    }

    /// Runs one statement, which the server plans anew.
    @discardableResult
    func execute(_ sql: String, _ parameters: PostgresParameters, until deadline: Int64)
        throws(PostgresFailure) -> PostgresRows
    {
        let isSent = parameters.withArguments { count, types, values, lengths, formats in
            PQsendQueryParams(handle, sql, count, types, values, lengths, formats, 0)
        }
        guard isSent == 1 else { throw lost("send") }
        return try receive(until: deadline)
    }

    /// Runs one statement that the server keeps, outside of any transaction. Where the server does
    /// not know what it was told to keep, a pooler sits between: from then on it is sent whole.
    func execute(
        _ statement: PostgresStatement, _ parameters: PostgresParameters, until deadline: Int64
    ) throws(PostgresFailure) -> PostgresRows {
        guard preparedNames != nil else {
            return try execute(statement.sql, parameters, until: deadline)
        }
        do throws(PostgresFailure) {
            try prepare(statement, parameters, until: deadline)
            let isSent = parameters.withArguments { count, _, values, lengths, formats in
                PQsendQueryPrepared(handle, statement.name, count, values, lengths, formats, 0)
            }
            guard isSent == 1 else { throw lost("send") }
            return try receive(until: deadline)
        } catch {
            // Unknown, known already, or refused by the pooler itself.
            guard let sqlState = error.sqlState, ["26000", "42P05", "08P01"].contains(sqlState)
            else { throw error }
            preparedNames = nil
            return try execute(statement.sql, parameters, until: deadline)
        }
    }

    private func prepare(
        _ statement: PostgresStatement, _ parameters: PostgresParameters, until deadline: Int64
    ) throws(PostgresFailure) {
        guard preparedNames?.contains(statement.name) == false else { return }
        let isSent = parameters.withArguments { count, types, _, _, _ in
            PQsendPrepare(handle, statement.name, statement.sql, count, types)
        }
        guard isSent == 1 else { throw lost("send") }
        _ = try receive(until: deadline)
        preparedNames?.insert(statement.name)
    }

    // MARK: COPY

    /// Runs `sql`, which has one COPY FROM STDIN among its statements, and feeds it `bytes`.
    /// - Parameter isSending: set before the last byte can have left: from then on the server may
    ///   commit.
    func copy(
        _ sql: String, _ bytes: UnsafeRawBufferPointer, until deadline: Int64,
        isSending: inout Bool
    ) throws(PostgresFailure) -> PostgresRows {
        guard PQsendQuery(handle, sql) == 1 else { throw lost("send") }
        var rows = PostgresRows()
        while let result = try nextResult(until: deadline) {
            if PQresultStatus(result) == PGRES_COPY_IN {
                PQclear(result)
                break
            }
            rows = try take(result, until: deadline)
        }
        // libpq copies what it is given; pieces keep that copy small.
        for start in stride(from: 0, to: bytes.count, by: Self.pieceLength) {
            let piece = UnsafeRawBufferPointer(
                rebasing: bytes[start..<min(start + Self.pieceLength, bytes.count)])
            guard
                PQputCopyData(
                    handle, piece.baseAddress?.assumingMemoryBound(to: CChar.self),
                    Int32(piece.count)) == 1
            else { throw lost("COPY") }
            try flush(until: deadline)
        }
        isSending = true
        guard PQputCopyEnd(handle, nil) == 1 else { throw lost("COPY") }
        let last = try receive(until: deadline)
        if last.columnCount > 0 { rows = last }
        return rows
    }

    private static let pieceLength = 64 << 10

    // MARK: Receiving

    /// All results of what was sent. The first error is thrown when the server is ready again, and so
    /// is a commit that no standby has confirmed: it would not survive the loss of this server.
    private func receive(until deadline: Int64) throws(PostgresFailure) -> PostgresRows {
        var rows = PostgresRows()
        while let result = try nextResult(until: deadline) {
            let next = try take(result, until: deadline)
            if next.columnCount > 0 || rows.columnCount == 0 { rows = next }
        }
        if hasStoppedWaiting.pointee {
            throw lost("commit", "the server stopped waiting for its standby to confirm it")
        }
        return rows
    }

    private func take(_ result: OpaquePointer, until deadline: Int64) throws(PostgresFailure)
        -> PostgresRows
    {
        switch PQresultStatus(result) {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
            return PostgresRows(taking: result)
        case PGRES_FATAL_ERROR:
            let failure = Self.refusal(result)
            PQclear(result)
            // What follows an error is its ReadyForQuery, or the end of the connection.
            while let rest = try nextResult(until: deadline) { PQclear(rest) }
            guard PQstatus(handle) == CONNECTION_OK,
                case .refused(let state, let message, _) =
                    failure, !state.isEmpty
            else { throw lost("server", failure.reason) }
            // 57P0x: the server, or this session, is being shut down.
            if state.hasPrefix("57P") || state.hasPrefix("08") && state != "08P01" {
                throw lost("server", message)
            }
            throw failure
        default:
            PQclear(result)
            throw lost("server", "an answer that belongs to no question")
        }
    }

    /// - Returns: nil when the server is ready for the next query.
    private func nextResult(until deadline: Int64) throws(PostgresFailure) -> OpaquePointer? {
        try flush(until: deadline)
        while PQisBusy(handle) == 1 {
            try wait(for: POLLIN, until: deadline, "answer")
            guard PQconsumeInput(handle) == 1 else { throw lost("receive") }
        }
        return PQgetResult(handle)
    }

    /// The server may have to be read while it is written to, or both would wait for each other.
    private func flush(until deadline: Int64) throws(PostgresFailure) {
        while true {
            switch PQflush(handle) {
            case 0: return
            case 1:
                let ready = try wait(for: POLLIN | POLLOUT, until: deadline, "send")
                if ready & POLLIN != 0, PQconsumeInput(handle) != 1 { throw lost("receive") }
            default: throw lost("send")
            }
        }
    }

    /// - Returns: poll's events.
    @discardableResult
    private func wait(for events: Int32, until deadline: Int64, _ what: String)
        throws(PostgresFailure) -> Int32
    {
        var entry = pollfd(fd: PQsocket(handle), events: Int16(events), revents: 0)
        while true {
            let left = deadline - Clock.monotonicNanoseconds()
            guard left > 0 else {
                isBroken = true
                throw .lost(reason: "\(what): no answer from the server in time")
            }
            let milliseconds = Int32(clamping: left / 1_000_000 + 1)
            switch poll(&entry, 1, milliseconds) {
            case 1...: return Int32(entry.revents)
            case 0: continue
            default: if errno != EINTR { throw lost(what) }
            }
        }
    }

    // MARK: Failures

    /// libpq's messages name host and port, and no password.
    private func lost(_ what: String, _ message: String? = nil) -> PostgresFailure {
        isBroken = true
        return .lost(reason: "\(what): \(message ?? Self.line(PQerrorMessage(handle)))")
    }

    private static func refusal(_ result: OpaquePointer) -> PostgresFailure {
        func field(_ code: Character) -> String {
            line(PQresultErrorField(result, Int32(code.asciiValue!)))
        }
        let message = field("M")
        return .refused(
            sqlState: field("C"),
            message: message.isEmpty ? line(PQresultErrorMessage(result)) : message,
            detail: field("D"))
    }

    /// A message on one line.
    private static func line(_ text: UnsafePointer<CChar>?) -> String {
        guard let text else { return "" }
        return String(cString: text).split(whereSeparator: \.isNewline)
            .map { $0.drop(while: \.isWhitespace) }.joined(separator: "; ")
    }

    private static func withStrings<R>(
        _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> R
    ) -> R {
        let copies = strings.map { strdup($0) }
        defer { copies.forEach { free($0) } }
        let pointers = copies.map { UnsafePointer($0) } + [nil]
        return pointers.withUnsafeBufferPointer { body($0.baseAddress!) }
    }
}

/// A statement worth keeping on the server. From a fixed set; its name changes with its text, since
/// a pooler may lead gateways of two versions to the same session.
struct PostgresStatement: Sendable {
    let name: String
    let sql: String
}

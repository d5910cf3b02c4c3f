import Polls

/// The catalogue's connection. For one thread at a time.
///
/// Whatever changes a tally's row locks it first and looks at the clock afterwards, as a commit of
/// ballots does.
final class PostgresCatalogue: CatalogueStore {
    private let session: PostgresSession
    let settings: PostgresSettings

    /// Nobody knows whether the last transaction was committed.
    private var isUncertain = false

    /// For a deadlock, a serialization failure, or a row that is busy.
    private static let attempts = 4

    init(session: PostgresSession, settings: PostgresSettings) {
        self.session = session
        self.settings = settings
    }

    // MARK: Transactions

    /// Runs `body` in a transaction, again where the server says that this may help.
    func write<R>(_ body: (PostgresTransaction) throws(PostgresFailure) -> R)
        throws(StoreError) -> R
    {
        var isCommitting = false
        var attempt = 1
        while true {
            do throws(PostgresFailure) {
                return try session.withConnection { (connection) throws(PostgresFailure) in
                    let transaction = PostgresTransaction(
                        connection: connection,
                        deadline: postgresDeadline(in: settings.requestLimit))
                    do throws(PostgresFailure) {
                        try transaction.execute(settings.begin)
                        // One at a time then: where commits wait for a standby that is away, the
                        // second meets the first one's lock instead of waiting for it, too.
                        if isUncertain { try transaction.execute(PostgresSchema.touch) }
                        let result = try body(transaction)
                        isCommitting = true
                        try transaction.execute("COMMIT")
                        isUncertain = false
                        return result
                    } catch {
                        if !connection.isBroken { try transaction.execute("ROLLBACK") }
                        throw error
                    }
                }
            } catch {
                switch error.sqlState {
                case SQLState.deadlockDetected, SQLState.serializationFailure,
                    SQLState.lockNotAvailable:
                    attempt += 1
                    isCommitting = false
                    if attempt <= Self.attempts { continue }
                case SQLState.readOnlyTransaction: session.giveUp()
                default: break
                }
                isUncertain = isUncertain || isCommitting
                throw error.storeError(mayBeStored: isCommitting)
            }
        }
    }

    /// Runs `body`, whose statements each have a snapshot of their own.
    private func read<R>(
        _ body: (PostgresConnection, Int64) throws(PostgresFailure) -> R
    ) throws(StoreError) -> R {
        do throws(PostgresFailure) {
            return try session.withConnection { (connection) throws(PostgresFailure) in
                try body(connection, postgresDeadline(in: settings.requestLimit))
            }
        } catch {
            throw error.storeError(mayBeStored: false)
        }
    }

    // MARK: Reading

    func read(_ ids: [PollID]) throws(StoreError) -> [PollRecord?] {
        try read { (connection, deadline) throws(PostgresFailure) in
            try PostgresPolls.read(ids, on: connection, isAlone: true, until: deadline)
        }
    }

    /// Two statements, however many polls.
    func refresh(_ known: [KnownPoll]) throws(StoreError) -> RefreshedPolls {
        try read { (connection, deadline) throws(PostgresFailure) in
            var parameters = PostgresParameters()
            parameters.append(known.map(\.id.rawValue))
            parameters.append(known.map(\.revision))
            parameters.append(known.map(\.shownRevision))
            let rows = try connection.execute(Self.news, parameters, until: deadline)
            var changed: [PollID] = []
            var gone: [PollID] = []
            for row in 0..<rows.count {
                let id = try rows.pollID(row, 0)
                if rows.bool(row, 1) { gone.append(id) } else { changed.append(id) }
            }
            let records =
                changed.isEmpty
                ? []
                : try PostgresPolls.read(changed, on: connection, isAlone: true, until: deadline)
            return RefreshedPolls(changed: records.compactMap { $0 }, gone: gone)
        }
    }

    private static let news = PostgresStatement(
        name: "pollstream_2_news",
        sql: """
            SELECT k.id, t.revision IS NULL
            FROM unnest($1, $2, $3) AS k (id, revision, shown_revision)
            LEFT JOIN pollstream.tallies t ON t.poll_id = k.id AND t.deleted_at IS NULL
            WHERE t.revision IS NULL OR t.revision > k.revision
                OR t.shown_revision > k.shown_revision
            """)

    func find(joinCode: String) throws(StoreError) -> PollRecord? {
        try read { (connection, deadline) throws(PostgresFailure) in
            var parameters = PostgresParameters()
            parameters.append(joinCode)
            let rows = try connection.execute(
                "SELECT id FROM pollstream.polls WHERE join_code = $1", parameters, until: deadline)
            if rows.count == 0 { return nil }
            return try PostgresPolls.read(
                [rows.pollID(0, 0)], on: connection, isAlone: true, until: deadline)[0]
        }
    }

    func list(_ filter: PollFilter, page: Int, pageSize: Int) throws(StoreError) -> PollPage {
        precondition(page >= 1 && pageSize >= 1, "pages count from 1 and hold something")
        // A page so far out that its offset overflows is past the end.
        let (offset, isTooFar) = (page - 1).multipliedReportingOverflow(by: pageSize)
        let condition = Self.condition(filter)
        return try read { (connection, deadline) throws(PostgresFailure) in
            var parameters = PostgresParameters()
            parameters.append(Int64(pageSize))
            parameters.append(isTooFar ? .max : Int64(offset))
            let rows = try connection.execute(
                """
                SELECT (SELECT count(*) FROM pollstream.tallies WHERE \(condition)),
                    ARRAY(SELECT poll_id FROM pollstream.tallies WHERE \(condition)
                        ORDER BY poll_id DESC LIMIT $1 OFFSET $2)
                """, parameters, until: deadline)
            let ids = try rows.integers(0, 1).compactMap(PollID.init)
            let records = try PostgresPolls.read(
                ids, on: connection, isAlone: true, until: deadline)
            return PollPage(
                polls: records.compactMap { $0?.poll }, count: Int(try rows.integer(0, 0)))
        }
    }

    /// Those of the partial indices.
    private static func condition(_ filter: PollFilter) -> String {
        switch filter {
        case .scheduled: "closed_at IS NULL AND NOT is_opened"
        case .open: "closed_at IS NULL AND is_opened"
        case .closed: "closed_at IS NOT NULL AND deleted_at IS NULL"
        case .all: "deleted_at IS NULL"
        }
    }

    func choices(of keys: [BallotKey]) throws(StoreError) -> [Choices?] {
        try read { (connection, deadline) throws(PostgresFailure) in
            var parameters = PostgresParameters()
            parameters.append(keys)
            let rows = try connection.execute(
                """
                SELECT b.choices
                FROM unnest($1) WITH ORDINALITY AS asked (key, place)
                    LEFT JOIN pollstream.ballots b USING (key)
                ORDER BY place
                """, parameters, until: deadline)
            guard rows.count == keys.count else { throw .damaged("an answer for each ballot") }
            var found: [Choices?] = []
            for row in 0..<rows.count {
                let mask = try rows.optionalInteger(row, 0)
                found.append(mask.map { Choices(mask: UInt64(bitPattern: $0)) })
            }
            return found
        }
    }

    func millisecondsUntilNextTransition() throws(StoreError) -> Int64? {
        try read { (connection, deadline) throws(PostgresFailure) in
            let rows = try connection.execute(
                """
                SELECT least(
                    (SELECT min(opens_at) FROM pollstream.tallies
                        WHERE closed_at IS NULL AND NOT is_opened),
                    (SELECT min(closes_at) FROM pollstream.tallies
                        WHERE closed_at IS NULL AND closes_at IS NOT NULL)),
                    pollstream.unix_ms(),
                    EXISTS (SELECT FROM pollstream.tallies WHERE deleted_at IS NOT NULL)
                """, until: deadline)
            if rows.bool(0, 2) { return 0 }
            guard let due = try rows.optionalInteger(0, 0) else { return nil }
            let now = try rows.integer(0, 1)
            if due <= now { return 0 }
            let (wait, isTooLong) = due.subtractingReportingOverflow(now)
            return isTooLong ? .max : wait
        }
    }
}

/// A transaction that is under way.
struct PostgresTransaction {
    let connection: PostgresConnection
    let deadline: Int64

    @discardableResult
    func execute(_ sql: String) throws(PostgresFailure) -> PostgresRows {
        try connection.execute(sql, until: deadline)
    }

    /// - Parameter append: gives the parameters their values, $1 first.
    @discardableResult
    func execute(_ sql: String, _ append: (inout PostgresParameters) -> Void)
        throws(PostgresFailure) -> PostgresRows
    {
        var parameters = PostgresParameters()
        append(&parameters)
        return try connection.execute(sql, parameters, until: deadline)
    }

    /// Locks the tally of a poll that is there, and then reads the clock.
    /// - Throws: `.rejected(.pollNotFound)`.
    func lock(_ id: PollID) throws(PostgresFailure) -> Int64 {
        let rows = try execute(
            """
            SELECT 1 FROM pollstream.tallies WHERE poll_id = $1 AND deleted_at IS NULL FOR UPDATE
            """
        ) { $0.append(id.rawValue) }
        guard rows.count == 1 else { throw .rejected(.pollNotFound) }
        return try execute("SELECT pollstream.unix_ms()").integer(0, 0)
    }

    /// - Throws: `.rejected(.pollNotFound)`.
    func expect(_ id: PollID) throws(PostgresFailure) -> PollRecord {
        let records = try PostgresPolls.read(
            [id], on: connection, isAlone: false, until: deadline)
        guard let record = records[0] else { throw .rejected(.pollNotFound) }
        return record
    }
}

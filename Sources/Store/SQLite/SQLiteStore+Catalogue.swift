package import Polls

extension SQLiteStore: CatalogueStore {
    package func create(_ draft: PollDraft, hostKeyHash: [UInt8], joinCode: String)
        throws(StoreError) -> PollRecord
    {
        try write { (connection) throws(SQLiteFailure) in
            let now = clock()
            try connection.statement(
                """
                INSERT INTO polls (title, description, creator_name, kind, max_choices, results,
                    created_at, join_code, host_key_hash, ask_name)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (join_code) DO NOTHING
                """
            ).with(
                .text(draft.title), .text(draft.description), .text(draft.creatorName),
                .text(draft.kind.rawValue), .integer(Int64(draft.maxChoices)),
                .text(draft.results.rawValue), .integer(now), .text(joinCode), .blob(hostKeyHash),
                .integer(draft.asksName ? 1 : 0)
            ).run()
            guard connection.changedRows == 1 else { throw .refused(.joinCodeTaken) }
            guard let id = PollID(connection.lastInsertedID) else {
                throw SQLiteStatement.damaged("the last poll's id")
            }
            // The tally comes last: whoever records the poll sees all of it.
            try insertOptions(draft.options, of: id, on: connection)
            let isOpened = draft.startsAt.map { $0 <= now } ?? true
            let counts = [Int64](repeating: 0, count: draft.options.count)
            try connection.statement(
                """
                INSERT INTO tallies (poll_id, revision, shown_revision, edition, opens_at,
                    closes_at, is_opened, change_vote, ballots, counts)
                VALUES (?1, ?2, ?2, 0, ?3, ?4, ?5, ?6, 0, ?7)
                """
            ).with(
                .integer(id.rawValue), .integer(Tally.nextRevision(after: 0, now: now)),
                .integer(draft.startsAt), .integer(draft.endTime), .integer(isOpened ? 1 : 0),
                .integer(draft.allowsChange ? 1 : 0), .text(CountsText.encode(counts))
            ).run()
            return try PollReader(connection: connection, now: now).expect(id)
        }
    }

    package func change(_ id: PollID, _ change: PollChange) throws(StoreError) -> PollRecord {
        try write { (connection) throws(SQLiteFailure) in
            let now = clock()
            let reader = PollReader(connection: connection, now: now)
            let old = try reader.expect(id).poll
            let poll: Poll
            do throws(StoreError) {
                poll = try old.applying(change, now: now)
            } catch { throw .refused(error) }
            try connection.statement(
                """
                UPDATE polls SET title = ?2, description = ?3, results = ?4, max_choices = ?5,
                    ask_name = ?6
                WHERE id = ?1
                """
            ).with(
                .integer(id.rawValue), .text(poll.title), .text(poll.description),
                .text(poll.results.rawValue), .integer(Int64(poll.maxChoices)),
                .integer(poll.asksName ? 1 : 0)
            ).run()
            if poll.edition != old.edition {
                try connection.statement("DELETE FROM options WHERE poll_id = ?")
                    .with(.integer(id.rawValue)).run()
                try insertOptions(poll.options.map(\.text), of: id, on: connection)
            }
            try connection.statement(
                """
                UPDATE tallies SET revision = ?2, shown_revision = ?2, edition = ?3,
                    closes_at = ?4, counts = ?5
                WHERE poll_id = ?1
                """
            ).with(
                .integer(id.rawValue), .integer(poll.tally.revision),
                .integer(Int64(poll.edition)), .integer(poll.endTime),
                .text(CountsText.encode(poll.tally.counts))
            ).run()
            return try reader.expect(id)
        }
    }

    package func open(_ id: PollID) throws(StoreError) -> (PollRecord, changed: Bool) {
        try write { (connection) throws(SQLiteFailure) in
            let now = clock()
            let reader = PollReader(connection: connection, now: now)
            let record = try reader.expect(id)
            guard record.poll.closedAt == nil, !record.poll.isPastEnd(now) else {
                throw .refused(.pollClosed)
            }
            if record.poll.isOpened { return (record, changed: false) }
            try connection.statement(
                """
                UPDATE tallies SET is_opened = 1, opens_at = ?2, \(Self.nextShownRevision)
                WHERE poll_id = ?1
                """
            ).with(.integer(id.rawValue), .integer(now)).run()
            return (try reader.expect(id), changed: true)
        }
    }

    package func close(_ id: PollID) throws(StoreError) -> (PollRecord, changed: Bool) {
        try write { (connection) throws(SQLiteFailure) in
            let now = clock()
            let changed = try close(id, now: now, on: connection)
            let reader = PollReader(connection: connection, now: now)
            return (try reader.expect(id), changed: changed)
        }
    }

    /// One statement decides: whoever comes second finds the poll closed.
    func close(_ id: PollID, now: Int64, on connection: SQLiteConnection) throws(SQLiteFailure)
        -> Bool
    {
        try connection.statement(
            """
            UPDATE tallies SET closed_at = ?2, \(Self.nextShownRevision)
            WHERE poll_id = ?1 AND closed_at IS NULL
            """
        ).with(.integer(id.rawValue), .integer(now)).run()
        return connection.changedRows == 1
    }

    package func delete(_ id: PollID) throws(StoreError) -> Int64 {
        let revision = try write { (connection) throws(SQLiteFailure) in
            let now = clock()
            let revision = try connection.statement(
                """
                UPDATE tallies SET deleted_at = ?2, closed_at = coalesce(closed_at, ?2),
                    \(Self.nextShownRevision)
                WHERE poll_id = ?1 AND deleted_at IS NULL RETURNING revision
                """
            ).with(.integer(id.rawValue), .integer(now))
                .first { (row) throws(SQLiteFailure) in row.integer(0) }
            guard let revision else { throw .refused(.pollNotFound) }
            // Its options go with it.
            try connection.statement("DELETE FROM polls WHERE id = ?")
                .with(.integer(id.rawValue)).run()
            return revision
        }
        // The poll is gone for everybody. What is more than a slice, or left by a failure,
        // `makeDueTransitions` removes: others have their turn in between.
        _ = try? removeSlice(of: id)
        return revision
    }

    /// Removes ballots of a poll that is marked as deleted; with the last ones, what is left of it.
    /// - Returns: whether nothing is left.
    func removeSlice(of id: PollID) throws(StoreError) -> Bool {
        try write { (connection) throws(SQLiteFailure) in
            let remove = try connection.statement(
                """
                DELETE FROM ballots WHERE key IN
                    (SELECT key FROM ballots WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT ?3)
                """)
            remove.bind(1, id.lowestKey)
            remove.bind(2, id.highestKey)
            remove.bind(3, settings.deleteSlice)
            try remove.run()
            if connection.changedRows == Int(settings.deleteSlice) { return false }
            try connection.statement(
                "DELETE FROM tallies WHERE poll_id = ? AND deleted_at IS NOT NULL"
            ).with(.integer(id.rawValue)).run()
            return true
        }
    }

    private func insertOptions(
        _ texts: [String], of id: PollID, on connection: SQLiteConnection
    ) throws(SQLiteFailure) {
        let insert = try connection.statement(
            "INSERT INTO options (poll_id, position, text) VALUES (?, ?, ?)")
        for (position, text) in texts.enumerated() {
            try insert.with(.integer(id.rawValue), .integer(Int64(position)), .text(text)).run()
        }
    }

    /// `Tally.nextRevision`, shown to everybody; the second parameter is the time.
    static let nextShownRevision =
        "revision = max(revision + 1, ?2), shown_revision = max(revision + 1, ?2)"
}

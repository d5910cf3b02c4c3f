package import Polls

/// What the clock brings about.
extension SQLiteStore {
    /// Also removes one slice of what a delete left behind when its process died.
    package func makeDueTransitions(limit: Int) throws(StoreError)
        -> [(PollRecord, PollTransition)]
    {
        var transitions: [(PollRecord, PollTransition)] = []
        do {
            while transitions.count < limit, try millisecondsUntilNextTransition() == 0 {
                guard let transition = try makeDueTransition() else { break }
                transitions.append(transition)
            }
            if let id = try read({ (connection) throws(SQLiteFailure) in
                try Self.deletedPoll(connection)
            }) {
                _ = try removeSlice(of: id)
            }
        } catch {
            // Those that are committed have to be announced; the rest stays due.
            if transitions.isEmpty { throw error }
        }
        return transitions
    }

    package func millisecondsUntilNextTransition() throws(StoreError) -> Int64? {
        try read { (connection) throws(SQLiteFailure) in
            if try Self.deletedPoll(connection) != nil { return 0 }
            let next = try connection.statement(
                """
                SELECT min(due) FROM (
                    SELECT min(opens_at) due FROM tallies WHERE closed_at IS NULL AND is_opened = 0
                    UNION ALL
                    SELECT min(closes_at) FROM tallies
                    WHERE closed_at IS NULL AND closes_at IS NOT NULL)
                """
            ).first { (row) throws(SQLiteFailure) in row.optionalInteger(0) }
            guard let due = next ?? nil else { return nil }
            let now = clock()
            if due <= now { return 0 }
            let (wait, isTooLong) = due.subtractingReportingOverflow(now)
            return isTooLong ? .max : wait
        }
    }

    /// Opens first: a poll whose whole time went by while nobody was there opens, then closes.
    private func makeDueTransition() throws(StoreError) -> (PollRecord, PollTransition)? {
        try write { (connection) throws(SQLiteFailure) in
            let now = clock()
            let reader = PollReader(connection: connection, now: now)
            let opened = try connection.statement(
                """
                UPDATE tallies SET is_opened = 1, \(Self.nextShownRevision)
                WHERE poll_id = (SELECT poll_id FROM tallies
                    WHERE closed_at IS NULL AND is_opened = 0 AND opens_at <= ?2
                    ORDER BY opens_at LIMIT 1)
                RETURNING poll_id
                """
            ).with(.integer(nil), .integer(now))
                .first { (row) throws(SQLiteFailure) in try row.pollID(0) }
            if let opened { return (try reader.expect(opened), .opened) }
            let due = try connection.statement(
                """
                SELECT poll_id FROM tallies
                WHERE closed_at IS NULL AND closes_at IS NOT NULL AND closes_at <= ?
                ORDER BY closes_at LIMIT 1
                """
            ).with(.integer(now)).first { (row) throws(SQLiteFailure) in try row.pollID(0) }
            guard let due, try close(due, now: now, on: connection) else { return nil }
            return (try reader.expect(due), .closed)
        }
    }

    private static func deletedPoll(_ connection: SQLiteConnection) throws(SQLiteFailure) -> PollID?
    {
        try connection.statement("SELECT poll_id FROM tallies WHERE deleted_at IS NOT NULL LIMIT 1")
            .first { (row) throws(SQLiteFailure) in try row.pollID(0) }
    }
}

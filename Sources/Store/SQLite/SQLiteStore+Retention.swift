import Polls

/// What is taken away from polls that are over for long.
extension SQLiteStore: RetentionStore {
    package func retain(
        _ step: RetentionStep, closedForMilliseconds age: Int64, limit: Int
    ) throws(StoreError) -> Int {
        try write { (connection) throws(SQLiteFailure) in
            let now = clock()
            let due = try connection.statement(
                """
                SELECT poll_id, retention_key FROM tallies
                WHERE retention = ?1 AND closed_at <= ?2 - ?3
                    AND closed_at IS NOT NULL AND deleted_at IS NULL AND retention < 2
                ORDER BY closed_at LIMIT 1
                """
            ).with(.integer(step.rawValue), .integer(now), .integer(age))
                .first { (row) throws(SQLiteFailure) in
                    (try row.pollID(0), row.bytes(1).isEmpty ? nil : try row.key(1))
                }
            guard let (id, key) = due else { return 0 }
            let slice = try connection.statement(
                """
                SELECT count(*), max(key) FROM (SELECT key FROM ballots
                    WHERE key > ?1 AND key <= ?2 ORDER BY key LIMIT ?3)
                """)
            slice.bind(1, key ?? id.keyBelow)
            slice.bind(2, id.highestKey)
            slice.bind(3, Int64(limit))
            let found = try slice.first { (row) throws(SQLiteFailure) in
                (Int(row.integer(0)), row.bytes(1).isEmpty ? nil : try row.key(1))
            }
            let (count, last) = found ?? (0, nil)
            if let last {
                let work = try connection.statement(
                    step == .blankVoters
                        ? "UPDATE ballots SET voter = '' WHERE key > ?1 AND key <= ?2"
                        : "DELETE FROM ballots WHERE key > ?1 AND key <= ?2")
                work.bind(1, key ?? id.keyBelow)
                work.bind(2, last)
                try work.run()
            }
            let mark = try connection.statement(
                """
                UPDATE tallies SET retention = ?2, retention_key = ?3,
                    emptied_at = CASE WHEN ?4 = 1 THEN coalesce(emptied_at, ?5) END
                WHERE poll_id = ?1
                """)
            let isDone = count < limit
            mark.bind(1, id.rawValue)
            mark.bind(2, step.rawValue + (isDone ? 1 : 0))
            if let last, !isDone { mark.bind(3, last) } else { mark.bindNull(3) }
            mark.bind(4, step.rawValue)
            mark.bind(5, now)
            try mark.run()
            // A poll without ballots was something to do, too.
            return max(count, 1)
        }
    }
}

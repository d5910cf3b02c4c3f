import Polls

/// What is taken away from polls that are over for long.
extension SQLiteStore: RetentionStore {
    package func blankVoters(closedForMilliseconds age: Int64, limit: Int) throws(StoreError)
        -> Int
    {
        try retain(age, limit, until: "blanked_at", "UPDATE ballots SET voter = ''", "voter <> ''")
    }

    package func removeBallots(closedForMilliseconds age: Int64, limit: Int) throws(StoreError)
        -> Int
    {
        try retain(age, limit, until: "emptied_at", "DELETE FROM ballots", "true")
    }

    /// Works on the ballots of one poll; `mark` is set when it is done with.
    private func retain(
        _ age: Int64, _ limit: Int, until mark: String, _ work: String, _ condition: String
    ) throws(StoreError) -> Int {
        try write { (connection) throws(SQLiteFailure) in
            let now = clock()
            let due = try connection.statement(
                """
                SELECT poll_id FROM tallies
                WHERE closed_at <= ? AND deleted_at IS NULL AND \(mark) IS NULL LIMIT 1
                """
            ).with(.integer(now - age)).first { (row) throws(SQLiteFailure) in try row.pollID(0) }
            guard let id = due else { return 0 }
            let slice = try connection.statement(
                """
                \(work) WHERE key IN (SELECT key FROM ballots
                    WHERE key BETWEEN ?1 AND ?2 AND \(condition) ORDER BY key LIMIT ?3)
                """)
            slice.bind(1, id.lowestKey)
            slice.bind(2, id.highestKey)
            slice.bind(3, Int64(limit))
            try slice.run()
            let count = connection.changedRows
            if count < limit {
                try connection.statement("UPDATE tallies SET \(mark) = ?2 WHERE poll_id = ?1")
                    .with(.integer(id.rawValue), .integer(now)).run()
            }
            // A poll without ballots was something to do, too.
            return max(count, 1)
        }
    }
}

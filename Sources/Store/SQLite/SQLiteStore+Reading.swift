package import Polls

/// The catalogue's reads, each on one snapshot, and the exports.
extension SQLiteStore {
    package func read(_ ids: [PollID]) throws(StoreError) -> [PollRecord?] {
        try read { (connection) throws(SQLiteFailure) in
            try PollReader(connection: connection, now: clock()).read(ids)
        }
    }

    package func find(joinCode: String) throws(StoreError) -> PollRecord? {
        try read { (connection) throws(SQLiteFailure) in
            let id = try connection.statement("SELECT id FROM polls WHERE join_code = ?")
                .with(.text(joinCode)).first { (row) throws(SQLiteFailure) in try row.pollID(0) }
            guard let id else { return nil }
            return try PollReader(connection: connection, now: clock()).read(id)
        }
    }

    package func list(_ filter: PollFilter, page: Int, pageSize: Int) throws(StoreError)
        -> PollPage
    {
        precondition(page >= 1 && pageSize >= 1, "pages count from 1 and hold something")
        // A page so far out that its offset overflows is past the end.
        let (offset, isTooFar) = (page - 1).multipliedReportingOverflow(by: pageSize)
        return try read { (connection) throws(SQLiteFailure) in
            let condition = Self.condition(filter)
            let count = try connection.statement(
                "SELECT count(*) FROM tallies WHERE \(condition)"
            ).first { (row) throws(SQLiteFailure) in Int(row.integer(0)) }
            var ids: [PollID] = []
            try connection.statement(
                """
                SELECT poll_id FROM tallies WHERE \(condition)
                ORDER BY poll_id DESC LIMIT ? OFFSET ?
                """
            ).with(.integer(Int64(pageSize)), .integer(isTooFar ? .max : Int64(offset)))
                .forEachRow { (row) throws(SQLiteFailure) in ids.append(try row.pollID(0)) }
            let records = try PollReader(connection: connection, now: clock()).read(ids)
            return PollPage(polls: records.compactMap { $0?.poll }, count: count ?? 0)
        }
    }

    /// Word for word those of the partial indices, so that SQLite uses them.
    static func condition(_ filter: PollFilter) -> String {
        switch filter {
        case .scheduled: "closed_at IS NULL AND is_opened = 0"
        case .open: "closed_at IS NULL AND is_opened = 1"
        case .closed: "closed_at IS NOT NULL AND deleted_at IS NULL"
        case .all: "deleted_at IS NULL"
        }
    }

    package func choices(of keys: [BallotKey]) throws(StoreError) -> [Choices?] {
        try read { (connection) throws(SQLiteFailure) in
            var found: [Choices?] = []
            for key in keys {
                let find = try connection.statement("SELECT choices FROM ballots WHERE key = ?")
                find.bind(1, key)
                found.append(
                    try find.first { (row) throws(SQLiteFailure) in
                        Choices(mask: UInt64(bitPattern: row.integer(0)))
                    })
            }
            return found
        }
    }
}

extension SQLiteStore: ExportStore {
    package func audit(_ id: PollID) throws(StoreError) -> Audit {
        try export { (connection) throws(SQLiteFailure) in
            let find = try connection.statement(
                """
                SELECT t.revision, t.ballots, t.counts, b.choices, t.emptied_at
                FROM tallies t LEFT JOIN ballots b ON b.key BETWEEN ?2 AND ?3
                WHERE t.poll_id = ?1 AND t.deleted_at IS NULL
                """)
            find.bind(1, id.rawValue)
            find.bind(2, id.lowestKey)
            find.bind(3, id.highestKey)
            var audit: Audit?
            // Marks at positions that the poll does not have make an audit inconsistent, too.
            var counts = [Int64](repeating: 0, count: 64)
            var ballots: Int64 = 0
            try find.forEachRow { (row) throws(SQLiteFailure) in
                if audit == nil {
                    let tally = try row.tally(
                        of: id, revision: 0, ballots: 1, counts: 2, at: clock())
                    audit = Audit(
                        tally: tally, ballots: 0, counts: [],
                        emptiedAt: row.optionalInteger(4))
                }
                if let choices = row.optionalInteger(3) {
                    ballots += 1
                    Choices(mask: UInt64(bitPattern: choices)).add(1, to: &counts)
                }
            }
            guard var audit else { throw .refused(.pollNotFound) }
            let optionCount = audit.tally.counts.count
            audit.ballots = ballots
            let isWithin = counts[optionCount...].allSatisfy { $0 == 0 }
            audit.counts = isWithin ? Array(counts[..<optionCount]) : counts
            return audit
        }
    }

    package func ballots(of id: PollID, after key: BallotKey?, limit: Int)
        throws(StoreError) -> [StoredBallot]
    {
        try export { (connection) throws(SQLiteFailure) in
            let find = try connection.statement(
                """
                SELECT key, choices, voter, cast_at FROM ballots
                WHERE key > ?1 AND key <= ?2
                    AND EXISTS (SELECT 1 FROM tallies WHERE poll_id = ?3 AND deleted_at IS NULL)
                ORDER BY key LIMIT ?4
                """)
            find.bind(1, key ?? id.keyBelow)
            find.bind(2, id.highestKey)
            find.bind(3, id.rawValue)
            find.bind(4, Int64(limit))
            var ballots: [StoredBallot] = []
            try find.forEachRow { (row) throws(SQLiteFailure) in
                ballots.append(
                    StoredBallot(
                        key: try row.key(0),
                        choices: Choices(mask: UInt64(bitPattern: row.integer(1))),
                        voter: row.text(2), castAt: row.integer(3)))
            }
            return ballots
        }
    }
}

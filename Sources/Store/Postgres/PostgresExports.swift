import Polls

/// Long reads, on a connection of their own. For one thread at a time.
final class PostgresExports: ExportStore {
    private let session: PostgresSession
    private let settings: PostgresSettings

    init(session: PostgresSession, settings: PostgresSettings) {
        self.session = session
        self.settings = settings
    }

    func audit(_ id: PollID) throws(StoreError) -> Audit {
        let rows = try execute(
            """
            SELECT t.revision, t.ballots, t.counts, pollstream.unix_ms(), t.emptied_at, b.choices,
                b.n
            FROM pollstream.tallies t
            LEFT JOIN (SELECT choices, count(*) AS n FROM pollstream.ballots
                WHERE key BETWEEN $2 AND $3 GROUP BY choices) AS b ON true
            WHERE t.poll_id = $1 AND t.deleted_at IS NULL
            """
        ) {
            $0.append(id.rawValue)
            $0.append(id.lowestKey)
            $0.append(id.highestKey)
        }
        guard rows.count > 0 else { throw .pollNotFound }
        do throws(PostgresFailure) {
            var audit = Audit(
                tally: Tally(
                    pollID: id, revision: try rows.integer(0, 0), ballots: try rows.integer(0, 1),
                    counts: try rows.integers(0, 2), at: try rows.integer(0, 3)),
                ballots: 0, counts: [], emptiedAt: try rows.optionalInteger(0, 4))
            // Marks at positions that the poll does not have make an audit inconsistent, too.
            var counts = [Int64](repeating: 0, count: 64)
            for row in 0..<rows.count where !rows.isNull(row, 5) {
                let count = try rows.integer(row, 6)
                audit.ballots += count
                try rows.choices(row, 5).add(count, to: &counts)
            }
            let optionCount = audit.tally.counts.count
            let isWithin = counts.dropFirst(optionCount).allSatisfy { $0 == 0 }
            audit.counts = isWithin ? Array(counts.prefix(optionCount)) : counts
            return audit
        } catch { throw error.storeError(mayBeStored: false) }
    }

    func ballots(of id: PollID, after key: BallotKey?, limit: Int) throws(StoreError)
        -> [StoredBallot]
    {
        let rows = try execute(
            """
            SELECT key, choices, voter, cast_at FROM pollstream.ballots
            WHERE key > $1 AND key <= $2 AND EXISTS (
                SELECT FROM pollstream.tallies WHERE poll_id = $3 AND deleted_at IS NULL)
            ORDER BY key LIMIT $4
            """
        ) {
            $0.append(key ?? id.keyBelow)
            $0.append(id.highestKey)
            $0.append(id.rawValue)
            $0.append(Int64(limit))
        }
        do throws(PostgresFailure) {
            var ballots: [StoredBallot] = []
            for row in 0..<rows.count {
                ballots.append(
                    StoredBallot(
                        key: try rows.key(row, 0), choices: try rows.choices(row, 1),
                        voter: rows.text(row, 2), castAt: try rows.integer(row, 3)))
            }
            return ballots
        } catch { throw error.storeError(mayBeStored: false) }
    }

    private func execute(_ sql: String, _ append: (inout PostgresParameters) -> Void)
        throws(StoreError) -> PostgresRows
    {
        var parameters = PostgresParameters()
        append(&parameters)
        do throws(PostgresFailure) {
            return try session.withConnection { (connection) throws(PostgresFailure) in
                try connection.execute(
                    sql, parameters, until: postgresDeadline(in: settings.exportLimit))
            }
        } catch { throw error.storeError(mayBeStored: false) }
    }
}

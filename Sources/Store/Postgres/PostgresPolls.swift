import Polls

/// Reads whole polls: words, options and tally of one snapshot. One statement, however many polls.
enum PostgresPolls {
    private static let read = PostgresStatement(
        name: "pollstream_2_polls",
        sql: """
            SELECT p.id, p.title, p.description, p.creator_name, p.kind, p.max_choices, p.results,
                p.created_at, p.join_code, encode(p.host_key_hash, 'hex'), t.revision, t.shown_revision, t.edition,
                t.opens_at, t.closes_at, t.closed_at, t.is_opened, t.change_vote, t.ballots,
                t.counts, pollstream.unix_ms(), o.ids, o.texts,
                p.ask_name
            FROM pollstream.polls p
            JOIN pollstream.tallies t ON t.poll_id = p.id
            CROSS JOIN LATERAL (
                SELECT coalesce(array_agg(x.id ORDER BY x.position), '{}') AS ids,
                    string_agg(octet_length(x.text) || ':' || x.text, '' ORDER BY x.position)
                        AS texts
                FROM pollstream.options x WHERE x.poll_id = p.id) AS o
            WHERE p.id = ANY($1)
            """)

    /// In the order of `ids`, nil where there is none.
    /// - Parameter isAlone: outside of any transaction, where the server may keep the statement.
    static func read(
        _ ids: [PollID], on connection: PostgresConnection, isAlone: Bool, until deadline: Int64
    ) throws(PostgresFailure) -> [PollRecord?] {
        var parameters = PostgresParameters()
        parameters.append(ids.map(\.rawValue))
        let rows =
            isAlone
            ? try connection.execute(read, parameters, until: deadline)
            : try connection.execute(read.sql, parameters, until: deadline)
        var records: [PollID: PollRecord] = [:]
        for row in 0..<rows.count {
            let record = try record(rows, row)
            records[record.poll.id] = record
        }
        return ids.map { records[$0] }
    }

    private static func record(_ rows: PostgresRows, _ row: Int) throws(PostgresFailure)
        -> PollRecord
    {
        let id = try rows.pollID(row, 0)
        let counts = try rows.integers(row, 19)
        let optionIDs = try rows.integers(row, 21)
        guard let kind = PollKind(rawValue: rows.text(row, 4)),
            let results = ResultsVisibility(rawValue: rows.text(row, 6)),
            let texts = LengthPrefixed.split(rows.text(row, 22)),
            counts.count == texts.count, optionIDs.count == texts.count,
            counts.count <= Choices.optionLimit
        else { throw .damaged("poll \(id.rawValue)") }
        let tally = Tally(
            pollID: id, revision: try rows.integer(row, 10), ballots: try rows.integer(row, 18),
            counts: counts, at: try rows.integer(row, 20))
        let poll = Poll(
            id: id, title: rows.text(row, 1), description: rows.text(row, 2),
            creatorName: rows.text(row, 3),
            options: zip(optionIDs, texts).map { PollOption(id: $0, text: $1) }, kind: kind,
            maxChoices: Int(try rows.integer(row, 5)), results: results,
            allowsChange: rows.bool(row, 17), createdAt: try rows.integer(row, 7),
            startsAt: try rows.optionalInteger(row, 13), endTime: try rows.optionalInteger(row, 14),
            closedAt: try rows.optionalInteger(row, 15), joinCode: rows.text(row, 8),
            edition: Int32(truncatingIfNeeded: try rows.integer(row, 12)),
            isOpened: rows.bool(row, 16), shownRevision: try rows.integer(row, 11), tally: tally,
            asksName: rows.bool(row, 23))
        return PollRecord(poll: poll, hostKeyHash: try rows.blob(row, 9))
    }
}

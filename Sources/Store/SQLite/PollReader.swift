import Polls

/// Reads whole polls within a transaction: words, options and tally of one snapshot. Two statements,
/// however many polls.
struct PollReader {
    let connection: SQLiteConnection
    /// When the read is made, Unix milliseconds.
    let now: Int64

    private static let columns = """
        p.id, p.title, p.description, p.creator_name, p.kind, p.max_choices, p.results,
        p.created_at, p.join_code, p.host_key_hash, t.revision, t.shown_revision, t.edition,
        t.opens_at, t.closes_at, t.closed_at, t.is_opened, t.change_vote, t.ballots, t.counts,
        p.ask_name
        """

    func read(_ id: PollID) throws(SQLiteFailure) -> PollRecord? { try read([id])[0] }

    /// - Throws: `.refused(.pollNotFound)`.
    func expect(_ id: PollID) throws(SQLiteFailure) -> PollRecord {
        guard let record = try read(id) else { throw .refused(.pollNotFound) }
        return record
    }

    /// In the order of `ids`, nil where there is none.
    func read(_ ids: [PollID]) throws(SQLiteFailure) -> [PollRecord?] {
        // A JSON array is the one way to give a statement any number of ids.
        let list = CountsText.encode(ids.map(\.rawValue))
        var options: [PollID: [PollOption]] = [:]
        try connection.statement(
            """
            SELECT o.poll_id, o.id, o.text
            FROM (SELECT DISTINCT value FROM json_each(?)) j CROSS JOIN options o
                ON o.poll_id = j.value
            ORDER BY o.poll_id, o.position
            """
        ).with(.text(list)).forEachRow { (row) throws(SQLiteFailure) in
            options[try row.pollID(0), default: []].append(
                PollOption(id: row.integer(1), text: row.text(2)))
        }
        var records: [PollID: PollRecord] = [:]
        try connection.statement(
            """
            SELECT \(Self.columns)
            FROM (SELECT DISTINCT value FROM json_each(?)) j
                CROSS JOIN polls p ON p.id = j.value
                CROSS JOIN tallies t ON t.poll_id = p.id
            """
        ).with(.text(list)).forEachRow { (row) throws(SQLiteFailure) in
            let id = try row.pollID(0)
            records[id] = try record(row, id, options[id] ?? [])
        }
        return ids.map { records[$0] }
    }

    private func record(_ row: SQLiteStatement, _ id: PollID, _ options: [PollOption])
        throws(SQLiteFailure) -> PollRecord
    {
        guard let kind = PollKind(rawValue: row.text(4)),
            let results = ResultsVisibility(rawValue: row.text(6))
        else { throw SQLiteStatement.damaged("poll \(id.rawValue)") }
        let tally = try row.tally(of: id, revision: 10, ballots: 18, counts: 19, at: now)
        guard tally.counts.count == options.count else {
            throw SQLiteStatement.damaged("poll \(id.rawValue)")
        }
        let poll = Poll(
            id: id, title: row.text(1), description: row.text(2), creatorName: row.text(3),
            options: options, kind: kind, maxChoices: Int(row.integer(5)), results: results,
            allowsChange: row.integer(17) != 0, createdAt: row.integer(7),
            startsAt: row.optionalInteger(13), endTime: row.optionalInteger(14),
            closedAt: row.optionalInteger(15), joinCode: row.text(8),
            edition: Int32(truncatingIfNeeded: row.integer(12)), isOpened: row.integer(16) != 0,
            shownRevision: row.integer(11), tally: tally, asksName: row.integer(20) != 0)
        return PollRecord(poll: poll, hostKeyHash: row.blob(9))
    }
}

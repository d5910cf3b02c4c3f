package import Polls

/// What is kept for other services.
extension SQLiteStore: EventStore {
    package func setRecording(_ isOn: Bool) throws(StoreError) {
        if try isRecording() == isOn { return }
        try write { (connection) throws(SQLiteFailure) in
            try connection.execute(isOn ? SQLiteSchema.record : SQLiteSchema.forgetAll)
        }
    }

    package func isRecording() throws(StoreError) -> Bool {
        try readEvents { (connection) throws(SQLiteFailure) in
            try connection.integer(SQLiteSchema.isRecording) == 1
        }
    }

    /// The file has no other gateway.
    package func lease(to node: Int64, forMilliseconds duration: Int64) throws(StoreError) -> Bool {
        true
    }

    package func endLease(of node: Int64) throws(StoreError) {}

    /// Each ballot is an event of its own.
    package func events(limit: Int) throws(StoreError) -> [RecordedEvent] {
        try readEvents { (connection) throws(SQLiteFailure) in
            var events: [RecordedEvent] = []
            var voted: Set<PollID> = []
            try connection.statement(
                """
                SELECT id, kind, poll_key, ballot_id, choices, replaced, voter, cast_at, poll_id,
                    revision, title, results, option_ids, option_texts, state, starts_at, end_time,
                    closed_at, ballots, counts
                FROM events ORDER BY id LIMIT ?
                """
            ).with(.integer(Int64(limit))).forEachRow { (row) throws(SQLiteFailure) in
                let event = try Self.event(row)
                if case .ballots = event.content { voted.insert(event.pollID) }
                events.append(event)
            }
            let words = try Self.words(of: Array(voted), on: connection, now: clock())
            for (index, event) in events.enumerated() {
                if case .ballots = event.content, let words = words[event.pollID] {
                    events[index].words = words
                }
            }
            return events
        }
    }

    /// As they are, or as a poll's deletion has kept them.
    private static func words(
        of polls: [PollID], on connection: SQLiteConnection, now: Int64
    ) throws(SQLiteFailure) -> [PollID: PollWords] {
        var found: [PollID: PollWords] = [:]
        let records = try PollReader(connection: connection, now: now).read(polls)
        for (id, record) in zip(polls, records) {
            if let poll = record?.poll {
                found[id] = PollWords(
                    title: poll.title, results: poll.results, options: poll.options)
                continue
            }
            found[id] = try connection.statement(
                """
                SELECT title, results, option_ids, option_texts FROM events
                WHERE kind = 'deleted' AND poll_id = ? LIMIT 1
                """
            ).with(.integer(id.rawValue)).first { (row) throws(SQLiteFailure) in
                try words(row, from: 0)
            }
        }
        return found
    }

    private static func event(_ row: SQLiteStatement) throws(SQLiteFailure) -> RecordedEvent {
        let id = RecordedEvent.ID(number: row.integer(0))
        if row.text(1) == "ballots" {
            let key = row.blob(2).reduce(0 as Int64) { $0 << 8 | Int64($1) }
            guard let pollID = PollID(key) else {
                throw SQLiteStatement.damaged("event \(id.number)")
            }
            let ballot = RecordedBallot(
                id: row.integer(3), choices: Choices(mask: UInt64(bitPattern: row.integer(4))),
                replaced: Choices(mask: UInt64(bitPattern: row.integer(5))), voter: row.text(6),
                castAt: row.integer(7))
            return RecordedEvent(
                id: id, pollID: pollID, words: PollWords(title: "", results: .live, options: []),
                content: .ballots([ballot]))
        }
        guard let kind = PollChangeKind(rawValue: row.text(1)),
            let state = PollState(rawValue: row.text(14)),
            let counts = CountsText.decode(row.bytes(19))
        else { throw SQLiteStatement.damaged("event \(id.number)") }
        return RecordedEvent(
            id: id, pollID: try row.pollID(8), words: try words(row, from: 10),
            content: .change(
                kind,
                PollFacts(
                    revision: row.integer(9), state: state, startsAt: row.optionalInteger(15),
                    endTime: row.optionalInteger(16), closedAt: row.optionalInteger(17),
                    ballots: row.integer(18), counts: counts)))
    }

    /// Title, results, ids and texts of the options, from `column` on.
    private static func words(_ row: SQLiteStatement, from column: Int32) throws(SQLiteFailure)
        -> PollWords
    {
        guard let results = ResultsVisibility(rawValue: row.text(column + 1)),
            let ids = CountsText.decode(row.bytes(column + 2)),
            let texts = LengthPrefixed.split(row.text(column + 3)), texts.count == ids.count
        else { throw SQLiteStatement.damaged("a poll's words") }
        return PollWords(
            title: row.text(column), results: results,
            options: zip(ids, texts).map { PollOption(id: $0, text: $1) })
    }

    package func forget(_ ids: [RecordedEvent.ID]) throws(StoreError) {
        if ids.isEmpty { return }
        let list = CountsText.encode(ids.map(\.number))
        try write { (connection) throws(SQLiteFailure) in
            try connection.statement(
                "DELETE FROM events WHERE id IN (SELECT value FROM json_each(?))"
            )
            .with(.text(list)).run()
        }
    }

    /// Told in their order, so that none is missing between the first and the last.
    package func eventCount() throws(StoreError) -> Int64 {
        try readEvents { (connection) throws(SQLiteFailure) in
            try connection.integer(
                """
                SELECT coalesce((SELECT max(id) FROM events) - (SELECT min(id) FROM events) + 1, 0)
                """)
        }
    }
}

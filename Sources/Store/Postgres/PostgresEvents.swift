import Polls

/// What is kept for other services, on a connection of its own. For one thread at a time.
///
/// There is no position that a late transaction could fall behind: what was told is deleted, and the
/// rest is read again. A snapshot that has a commit of a poll has all of its earlier ones, since each
/// waited for the lock of the one before; so the order of the revisions is that of the commits.
final class PostgresEvents: EventStore {
    /// A row of ballots.
    private struct Part: Hashable {
        let transaction: Int64
        let poll: PollID
        let id: Int64
    }

    /// Where the ballots of an event are.
    private struct Place: Hashable {
        let transaction: Int64
        let poll: PollID
    }

    private let session: PostgresSession
    private let settings: PostgresSettings
    /// Of the events that were read last.
    private var parts: [RecordedEvent.ID: [Part]] = [:]

    init(session: PostgresSession, settings: PostgresSettings) {
        self.session = session
        self.settings = settings
    }

    // MARK: Recording

    /// Who writes ballots is waited for shortly, and the next wait behind us as shortly.
    func setRecording(_ isOn: Bool) throws(StoreError) {
        if try isRecording() == isOn { return }
        do throws(PostgresFailure) {
            try execute(
                """
                SET LOCAL lock_timeout = \(settings.lockLimit / 2);
                SET LOCAL client_min_messages = warning;
                \(isOn ? PostgresSchema.record : PostgresSchema.forgetAll)
                """)
        } catch {
            guard error.sqlState == SQLState.insufficientPrivilege else {
                throw error.storeError(mayBeStored: false)
            }
            throw .unusable(
                reason: "\(error.reason); who owns the tables may: pollstream migrate --events …")
        }
    }

    func isRecording() throws(StoreError) -> Bool {
        try asked { () throws(PostgresFailure) in
            try execute(PostgresSchema.isRecording).bool(0, 0)
        }
    }

    // MARK: Whose turn it is

    func lease(to node: Int64, forMilliseconds duration: Int64) throws(StoreError) -> Bool {
        var parameters = PostgresParameters()
        parameters.append(node)
        parameters.append(duration)
        return try asked { () throws(PostgresFailure) in
            try write(
                """
                UPDATE pollstream.events_publisher SET node = $1, until = pollstream.unix_ms() + $2
                WHERE node = $1 OR until <= pollstream.unix_ms()
                """, parameters
            ).changedCount == 1
        }
    }

    func endLease(of node: Int64) throws(StoreError) {
        var parameters = PostgresParameters()
        parameters.append(node)
        try asked { () throws(PostgresFailure) in
            _ = try write(
                "UPDATE pollstream.events_publisher SET until = 0 WHERE node = $1", parameters)
        }
    }

    // MARK: Reading

    func events(limit: Int) throws(StoreError) -> [RecordedEvent] {
        try asked { () throws(PostgresFailure) in
            parts.removeAll(keepingCapacity: true)
            var parameters = PostgresParameters()
            parameters.append(Int64(limit))
            let rows = try execute(Self.page, parameters)
            var events: [RecordedEvent] = []
            var places: [Place: Int] = [:]
            var size = 0
            for row in 0..<rows.count where size < limit {
                let event = try event(rows, row)
                size += max(1, Int(try rows.integer(row, 8)))
                if case .ballots = event.content {
                    let place = Place(
                        transaction: try rows.integer(row, 4), poll: event.pollID)
                    places[place] = events.count
                }
                events.append(event)
            }
            if !places.isEmpty { try readBallots(places, into: &events) }
            return events
        }
    }

    /// Words of ballots are those of the poll, or what its deletion has kept of them.
    private static let page = """
        SELECT e.revision, e.id, e.poll_id, e.kind, e.transaction,
            coalesce(e.title, p.title, d.title, ''), coalesce(e.results, p.results, d.results, 'live'),
            CASE WHEN e.kind <> 'ballots' THEN e.option_ids
                WHEN p.id IS NULL THEN coalesce(d.option_ids, '{}') ELSE o.ids END,
            (SELECT coalesce(sum(b.size), 0) FROM pollstream.event_ballots b
                WHERE b.transaction = e.transaction AND b.poll_id = e.poll_id),
            CASE WHEN e.kind <> 'ballots' THEN e.option_texts
                WHEN p.id IS NULL THEN coalesce(d.option_texts, '') ELSE o.texts END,
            e.state, e.starts_at, e.end_time, e.closed_at, e.ballots, e.counts
        FROM (SELECT * FROM pollstream.events ORDER BY revision, id LIMIT $1) AS e
        LEFT JOIN pollstream.polls p ON e.kind = 'ballots' AND p.id = e.poll_id
        LEFT JOIN LATERAL (
            SELECT coalesce(array_agg(x.id ORDER BY x.position), '{}') AS ids,
                coalesce(string_agg(octet_length(x.text) || ':' || x.text, '' ORDER BY x.position),
                    '') AS texts
            FROM pollstream.options x WHERE x.poll_id = p.id) AS o ON true
        LEFT JOIN LATERAL (
            SELECT x.title, x.results, x.option_ids, x.option_texts FROM pollstream.events x
            WHERE x.kind = 'deleted' AND x.poll_id = e.poll_id LIMIT 1) AS d
            ON e.kind = 'ballots' AND p.id IS NULL
        ORDER BY e.revision, e.id
        """

    private func event(_ rows: PostgresRows, _ row: Int) throws(PostgresFailure) -> RecordedEvent {
        let revision = try rows.integer(row, 0)
        let id = RecordedEvent.ID(order: revision, number: try rows.integer(row, 1))
        let optionIDs = try rows.integers(row, 7)
        guard let results = ResultsVisibility(rawValue: rows.text(row, 6)),
            let texts = LengthPrefixed.split(rows.text(row, 9)), texts.count == optionIDs.count
        else { throw .damaged("event \(id.number)") }
        let words = PollWords(
            title: rows.text(row, 5), results: results,
            options: zip(optionIDs, texts).map { PollOption(id: $0, text: $1) })
        let content: RecordedEvent.Content
        if rows.text(row, 3) == "ballots" {
            content = .ballots([])
        } else {
            guard let kind = PollChangeKind(rawValue: rows.text(row, 3)),
                let state = PollState(rawValue: rows.text(row, 10))
            else { throw .damaged("event \(id.number)") }
            content = .change(
                kind,
                PollFacts(
                    revision: revision, state: state, startsAt: try rows.optionalInteger(row, 11),
                    endTime: try rows.optionalInteger(row, 12),
                    closedAt: try rows.optionalInteger(row, 13),
                    ballots: try rows.integer(row, 14), counts: try rows.integers(row, 15)))
        }
        return RecordedEvent(
            id: id, pollID: try rows.pollID(row, 2), words: words, content: content)
    }

    private func readBallots(_ places: [Place: Int], into events: inout [RecordedEvent])
        throws(PostgresFailure)
    {
        var parameters = PostgresParameters()
        parameters.append(places.keys.map(\.transaction))
        parameters.append(places.keys.map(\.poll.rawValue))
        let rows = try execute(
            """
            SELECT b.transaction, b.poll_id, b.id, n.i, n.c, n.r, n.v, n.a
            FROM unnest($1, $2) AS k (transaction, poll_id)
            JOIN pollstream.event_ballots b USING (transaction, poll_id)
            CROSS JOIN LATERAL unnest(b.ballot_ids, b.choices, b.replaced, b.voters, b.casts)
                AS n (i, c, r, v, a)
            """, parameters)
        var ballots: [Int: [RecordedBallot]] = [:]
        var last: Part?
        var place = 0
        for row in 0..<rows.count {
            let part = Part(
                transaction: try rows.integer(row, 0), poll: try rows.pollID(row, 1),
                id: try rows.integer(row, 2))
            if part != last {
                guard
                    let found = places[Place(transaction: part.transaction, poll: part.poll)]
                else { throw .damaged("which ballots are meant") }
                parts[events[found].id, default: []].append(part)
                place = found
                last = part
            }
            ballots[place, default: []].append(
                RecordedBallot(
                    id: try rows.integer(row, 3), choices: try rows.choices(row, 4),
                    replaced: try rows.choices(row, 5), voter: rows.text(row, 6),
                    castAt: try rows.integer(row, 7)))
        }
        for (index, ballots) in ballots { events[index].content = .ballots(ballots) }
    }

    func forget(_ ids: [RecordedEvent.ID]) throws(StoreError) {
        if ids.isEmpty { return }
        let gone = ids.flatMap { parts[$0] ?? [] }
        var parameters = PostgresParameters()
        parameters.append(ids.map(\.order))
        parameters.append(ids.map(\.number))
        parameters.append(gone.map(\.transaction))
        parameters.append(gone.map(\.poll.rawValue))
        parameters.append(gone.map(\.id))
        try asked { () throws(PostgresFailure) in
            _ = try write(
                """
                WITH b AS (DELETE FROM pollstream.event_ballots b
                    USING unnest($3, $4, $5) AS k (transaction, poll_id, id)
                    WHERE b.transaction = k.transaction AND b.poll_id = k.poll_id AND b.id = k.id)
                DELETE FROM pollstream.events e USING unnest($1, $2) AS k (revision, id)
                WHERE e.revision = k.revision AND e.id = k.id
                """, parameters)
        }
        for id in ids { parts[id] = nil }
    }

    func eventCount() throws(StoreError) -> Int64 {
        try asked { () throws(PostgresFailure) in
            try execute("SELECT count(*) FROM pollstream.events").integer(0, 0)
        }
    }

    // MARK: Statements

    private func asked<R>(_ body: () throws(PostgresFailure) -> R) throws(StoreError) -> R {
        do throws(PostgresFailure) {
            return try body()
        } catch { throw error.storeError(mayBeStored: false) }
    }

    /// Waits no longer for a row than others are kept from it: where commits wait for a standby that is
    /// away, so does one session that was given up, with its locks, and not one more for each attempt.
    private func write(_ sql: String, _ parameters: PostgresParameters) throws(PostgresFailure)
        -> PostgresRows
    {
        try execute(settings.begin)
        do throws(PostgresFailure) {
            let rows = try execute(sql, parameters)
            try execute("COMMIT")
            return rows
        } catch {
            if case .refused = error { _ = try? execute("ROLLBACK") }
            throw error
        }
    }

    @discardableResult
    private func execute(_ sql: String, _ parameters: PostgresParameters? = nil)
        throws(PostgresFailure) -> PostgresRows
    {
        do throws(PostgresFailure) {
            return try session.withConnection { (connection) throws(PostgresFailure) in
                let deadline = postgresDeadline(in: settings.requestLimit)
                guard let parameters else { return try connection.execute(sql, until: deadline) }
                return try connection.execute(sql, parameters, until: deadline)
            }
        } catch {
            if error.sqlState == SQLState.readOnlyTransaction { session.giveUp() }
            throw error
        }
    }
}

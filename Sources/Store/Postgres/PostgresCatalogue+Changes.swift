import Polls

/// What hosts change.
extension PostgresCatalogue {
    func create(_ draft: PollDraft, hostKeyHash: [UInt8], joinCode: String) throws(StoreError)
        -> PollRecord
    {
        try write { (transaction) throws(PostgresFailure) in
            let now = try transaction.execute("SELECT pollstream.unix_ms()").integer(0, 0)
            let made = try transaction.execute(
                """
                INSERT INTO pollstream.polls (title, description, creator_name, kind, max_choices,
                    results, created_at, join_code, host_key_hash, ask_name)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (join_code) DO NOTHING
                RETURNING id
                """
            ) {
                $0.append(draft.title)
                $0.append(draft.description)
                $0.append(draft.creatorName)
                $0.append(draft.kind.rawValue)
                $0.append(Int64(draft.maxChoices))
                $0.append(draft.results.rawValue)
                $0.append(now)
                $0.append(joinCode)
                $0.append(hostKeyHash)
                $0.append(draft.asksName)
            }
            guard made.count == 1 else { throw .rejected(.joinCodeTaken) }
            let id = try made.pollID(0, 0)
            // The tally comes last: whoever records the poll sees all of it.
            try insertOptions(draft.options, of: id, in: transaction)
            try transaction.execute(
                """
                INSERT INTO pollstream.tallies (poll_id, revision, shown_revision, edition,
                    opens_at, closes_at, is_opened, change_vote, ballots, counts)
                VALUES ($1, $2, $2, 0, $3, $4, $5, $6, 0, $7)
                """
            ) {
                $0.append(id.rawValue)
                $0.append(Tally.nextRevision(after: 0, now: now))
                $0.append(draft.startsAt)
                $0.append(draft.endTime)
                $0.append(draft.startsAt.map { $0 <= now } ?? true)
                $0.append(draft.allowsChange)
                $0.append([Int64](repeating: 0, count: draft.options.count))
            }
            return try transaction.expect(id)
        }
    }

    func change(_ id: PollID, _ change: PollChange) throws(StoreError) -> PollRecord {
        try write { (transaction) throws(PostgresFailure) in
            let now = try transaction.lock(id)
            let old = try transaction.expect(id).poll
            let poll: Poll
            do throws(StoreError) {
                poll = try old.applying(change, now: now)
            } catch { throw .rejected(error) }
            try transaction.execute(
                """
                UPDATE pollstream.polls SET title = $2, description = $3, results = $4,
                    max_choices = $5, ask_name = $6
                WHERE id = $1
                """
            ) {
                $0.append(id.rawValue)
                $0.append(poll.title)
                $0.append(poll.description)
                $0.append(poll.results.rawValue)
                $0.append(Int64(poll.maxChoices))
                $0.append(poll.asksName)
            }
            if poll.edition != old.edition {
                try transaction.execute("DELETE FROM pollstream.options WHERE poll_id = $1") {
                    $0.append(id.rawValue)
                }
                try insertOptions(poll.options.map(\.text), of: id, in: transaction)
            }
            try transaction.execute(
                """
                UPDATE pollstream.tallies SET revision = $2, shown_revision = $2, edition = $3,
                    closes_at = $4, counts = $5
                WHERE poll_id = $1
                """
            ) {
                $0.append(id.rawValue)
                $0.append(poll.tally.revision)
                $0.append(Int64(poll.edition))
                $0.append(poll.endTime)
                $0.append(poll.tally.counts)
            }
            return try transaction.expect(id)
        }
    }

    func open(_ id: PollID) throws(StoreError) -> (PollRecord, changed: Bool) {
        try write { (transaction) throws(PostgresFailure) in
            let now = try transaction.lock(id)
            let record = try transaction.expect(id)
            guard record.poll.closedAt == nil, !record.poll.isPastEnd(now) else {
                throw .rejected(.pollClosed)
            }
            if record.poll.isOpened { return (record, changed: false) }
            try transaction.execute(
                """
                UPDATE pollstream.tallies SET is_opened = true, opens_at = $2,
                    \(Self.nextShownRevision)
                WHERE poll_id = $1
                """
            ) {
                $0.append(id.rawValue)
                $0.append(now)
            }
            return (try transaction.expect(id), changed: true)
        }
    }

    func close(_ id: PollID) throws(StoreError) -> (PollRecord, changed: Bool) {
        try write { (transaction) throws(PostgresFailure) in
            let now = try transaction.lock(id)
            let changed = try close(id, now: now, in: transaction)
            return (try transaction.expect(id), changed: changed)
        }
    }

    /// Of a poll that is locked.
    func close(_ id: PollID, now: Int64, in transaction: PostgresTransaction)
        throws(PostgresFailure) -> Bool
    {
        try transaction.execute(
            """
            UPDATE pollstream.tallies SET closed_at = $2, \(Self.nextShownRevision)
            WHERE poll_id = $1 AND closed_at IS NULL
            """
        ) {
            $0.append(id.rawValue)
            $0.append(now)
        }.changedCount == 1
    }

    func delete(_ id: PollID) throws(StoreError) -> Int64 {
        let revision = try write { (transaction) throws(PostgresFailure) in
            let now = try transaction.lock(id)
            let revision = try transaction.execute(
                """
                UPDATE pollstream.tallies SET deleted_at = $2, closed_at = coalesce(closed_at, $2),
                    \(Self.nextShownRevision)
                WHERE poll_id = $1 RETURNING revision
                """
            ) {
                $0.append(id.rawValue)
                $0.append(now)
            }.integer(0, 0)
            // Its options go with it.
            try transaction.execute("DELETE FROM pollstream.polls WHERE id = $1") {
                $0.append(id.rawValue)
            }
            return revision
        }
        // The poll is gone for everybody. What is more than a slice, or left by a failure,
        // `makeDueTransitions` removes: others have their turn in between.
        _ = try? removeSlice(of: id)
        return revision
    }

    private func insertOptions(
        _ texts: [String], of id: PollID, in transaction: PostgresTransaction
    ) throws(PostgresFailure) {
        try transaction.execute(
            """
            INSERT INTO pollstream.options (poll_id, position, text)
            SELECT $1, n.position - 1, n.text
            FROM unnest($2) WITH ORDINALITY AS n (text, position) ORDER BY n.position
            """
        ) {
            $0.append(id.rawValue)
            $0.append(texts)
        }
    }

    /// `Tally.nextRevision`, shown to everybody; the second parameter is the time.
    static let nextShownRevision =
        "revision = greatest(revision + 1, $2), shown_revision = greatest(revision + 1, $2)"
}

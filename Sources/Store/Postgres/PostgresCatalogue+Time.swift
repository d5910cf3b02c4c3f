import Polls

/// What time brings about: openings, closings, and what is removed bit by bit.
extension PostgresCatalogue: RetentionStore {
    /// Also removes one slice of what a delete left behind when its process died.
    func makeDueTransitions(limit: Int) throws(StoreError) -> [(PollRecord, PollTransition)] {
        var transitions: [(PollRecord, PollTransition)] = []
        do {
            while transitions.count < limit, try millisecondsUntilNextTransition() == 0 {
                guard let transition = try makeDueTransition() else { break }
                transitions.append(transition)
            }
            if let id = try deletedPoll() { _ = try removeSlice(of: id) }
        } catch {
            // Those that are committed have to be announced; the rest stays due.
            if transitions.isEmpty { throw error }
        }
        return transitions
    }

    /// Opens first: a poll whose whole time went by while nobody was there opens, then closes. Of
    /// several gateways one makes the transition; the others wait for the row and find nothing due.
    private func makeDueTransition() throws(StoreError) -> (PollRecord, PollTransition)? {
        try write { (transaction) throws(PostgresFailure) in
            let opening = try transaction.execute(
                """
                SELECT poll_id, pollstream.unix_ms() FROM pollstream.tallies
                WHERE closed_at IS NULL AND NOT is_opened AND opens_at <= pollstream.unix_ms()
                ORDER BY opens_at LIMIT 1 FOR UPDATE
                """)
            if opening.count == 1 {
                let id = try opening.pollID(0, 0)
                let now = try opening.integer(0, 1)
                try transaction.execute(
                    """
                    UPDATE pollstream.tallies SET is_opened = true, \(Self.nextShownRevision)
                    WHERE poll_id = $1
                    """
                ) {
                    $0.append(id.rawValue)
                    $0.append(now)
                }
                return (try transaction.expect(id), .opened)
            }
            let closing = try transaction.execute(
                """
                SELECT poll_id FROM pollstream.tallies
                WHERE closed_at IS NULL AND closes_at IS NOT NULL
                    AND closes_at <= pollstream.unix_ms()
                ORDER BY closes_at LIMIT 1 FOR UPDATE
                """)
            guard closing.count == 1, case let id = try closing.pollID(0, 0),
                case let now = try transaction.execute("SELECT pollstream.unix_ms()").integer(0, 0),
                try close(id, now: now, in: transaction)
            else { return nil }
            return (try transaction.expect(id), .closed)
        }
    }

    private func deletedPoll() throws(StoreError) -> PollID? {
        try write { (transaction) throws(PostgresFailure) in
            let rows = try transaction.execute(
                "SELECT poll_id FROM pollstream.tallies WHERE deleted_at IS NOT NULL LIMIT 1")
            return rows.count == 1 ? try rows.pollID(0, 0) : nil
        }
    }

    /// Removes ballots of a poll that is marked as deleted; with the last ones, what is left of it.
    /// - Returns: whether nothing is left.
    func removeSlice(of id: PollID) throws(StoreError) -> Bool {
        try write { (transaction) throws(PostgresFailure) in
            if try removeBallots(of: id, limit: settings.deleteSlice, in: transaction)
                == settings.deleteSlice
            {
                return false
            }
            try transaction.execute(
                "DELETE FROM pollstream.tallies WHERE poll_id = $1 AND deleted_at IS NOT NULL"
            ) { $0.append(id.rawValue) }
            return true
        }
    }

    private func removeBallots(of id: PollID, limit: Int64, in transaction: PostgresTransaction)
        throws(PostgresFailure) -> Int64
    {
        let rows = try transaction.execute(
            """
            DELETE FROM pollstream.ballots WHERE key IN (
                SELECT key FROM pollstream.ballots WHERE key BETWEEN $1 AND $2
                ORDER BY key LIMIT $3 FOR UPDATE)
            """
        ) {
            $0.append(id.lowestKey)
            $0.append(id.highestKey)
            $0.append(limit)
        }
        return Int64(rows.changedCount)
    }

    // MARK: Retention

    func retain(_ step: RetentionStep, closedForMilliseconds age: Int64, limit: Int)
        throws(StoreError) -> Int
    {
        try write { (transaction) throws(PostgresFailure) in
            let due = try transaction.execute(
                """
                SELECT poll_id, retention_key FROM pollstream.tallies
                WHERE retention = $1 AND closed_at <= pollstream.unix_ms() - $2
                    AND closed_at IS NOT NULL AND deleted_at IS NULL AND retention < 2
                ORDER BY closed_at LIMIT 1 FOR UPDATE SKIP LOCKED
                """
            ) {
                $0.append(step.rawValue)
                $0.append(age)
            }
            guard due.count == 1 else { return 0 }
            let id = try due.pollID(0, 0)
            let key = due.isNull(0, 1) ? id.keyBelow : try due.key(0, 1)
            let slice = try transaction.execute(
                """
                SELECT count(*), (array_agg(key ORDER BY key DESC))[1] FROM (
                    SELECT key FROM pollstream.ballots WHERE key > $1 AND key <= $2
                    ORDER BY key LIMIT $3) AS slice
                """
            ) {
                $0.append(key)
                $0.append(id.highestKey)
                $0.append(Int64(limit))
            }
            let count = Int(try slice.integer(0, 0))
            let last = slice.isNull(0, 1) ? nil : try slice.key(0, 1)
            if let last {
                try transaction.execute(
                    step == .blankVoters
                        ? "UPDATE pollstream.ballots SET voter = '' WHERE key > $1 AND key <= $2"
                        : "DELETE FROM pollstream.ballots WHERE key > $1 AND key <= $2"
                ) {
                    $0.append(key)
                    $0.append(last)
                }
            }
            let isDone = count < limit
            try transaction.execute(
                """
                UPDATE pollstream.tallies SET retention = $2, retention_key = $3, emptied_at =
                    CASE WHEN $4 THEN coalesce(emptied_at, pollstream.unix_ms()) END
                WHERE poll_id = $1
                """
            ) {
                $0.append(id.rawValue)
                $0.append(step.rawValue + (isDone ? 1 : 0))
                $0.append(isDone ? nil : last)
                $0.append(step == .removeBallots)
            }
            // A poll without ballots was something to do, too.
            return max(count, 1)
        }
    }
}

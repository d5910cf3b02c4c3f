import Polls
import Threads

/// The ledger's path into PostgreSQL. For one thread at a time.
///
/// Most batches are new ballots. They go by COPY straight into the keyed table, and the tallies
/// follow in the same message, hence in one transaction in which the server never waits for us while
/// it holds a tally's lock. A ballot that is there already would make the COPY fail: likely ones, and
/// batches too small for a COPY to pay, are merged row by row in one call of a function.
///
/// Locks are taken in one order, ballots by key and then tallies by poll, on either path and by every
/// gateway.
final class PostgresLedger: LedgerStore {
    private let session: PostgresSession
    private let settings: PostgresSettings
    private let notice: @Sendable (PostgresNotice) -> Void
    private var encoder = CopyEncoder()
    private var recentKeys = RecentKeys()
    /// So many batches are still merged, because a COPY met a ballot that was there.
    private var mergesLeft = 0
    /// Nobody knows whether the last attempt committed.
    private var isUncertain = false
    /// Its ballots that may replace others.
    private var uncertainIDs: Set<Int64> = []
    /// Of a batch whose first part committed and whose second did not.
    private var unannounced: [PollID: Tally] = [:]

    private static let mergesAfterRepeat = 8
    /// For a deadlock or a serialization failure, which another attempt cures.
    private static let attempts = 4

    init(
        session: PostgresSession, settings: PostgresSettings,
        notice: @escaping @Sendable (PostgresNotice) -> Void
    ) {
        self.session = session
        self.settings = settings
        self.notice = notice
    }

    /// After `.commitUnknown`, settling again finds out what became of each ballot by its id. A
    /// ballot that would replace another choice is not applied then: the voter may have changed it
    /// meanwhile, through another gateway. Its outcome is `commitUnknown`.
    ///
    /// For the same reason it is not applied past its deadline, which the server looks at when it has
    /// locked the voter's row: what hangs in a network comes too late, also where we have given up the
    /// connection, or are gone.
    func settle(_ ballots: [Ballot], until deadlines: [Int64]) throws(StoreError) -> Settlement {
        if ballots.isEmpty {
            try probe()
            return Settlement(outcomes: [], tallies: [])
        }
        var batch = SettlingBatch(
            ballots, until: deadlines, showsEveryTally: isUncertain, uncertainIDs: uncertainIDs)
        do throws(PostgresFailure) {
            try settle(&batch)
            if isUncertain { try confirm() }
        } catch {
            for tally in batch.tallies.values { unannounced[tally.pollID] = tally }
            // One lost COMMIT makes the whole batch uncertain, whatever came of the rest.
            let failure = error.storeError(mayBeStored: batch.mayBeStored)
            let isUnknown = batch.mayBeStored || batch.hasStored
            if isUnknown {
                isUncertain = true
                uncertainIDs.formUnion(ballots.lazy.filter(\.allowsChange).map(\.id))
            }
            if isUnknown, case .unavailable(let reason) = failure {
                throw .commitUnknown(reason: reason)
            }
            throw failure
        }
        isUncertain = false
        uncertainIDs.removeAll()
        let announced = unannounced.merging(batch.tallies) { $0.isNewer(than: $1) ? $0 : $1 }
        unannounced.removeAll()
        return Settlement(
            outcomes: batch.outcomes,
            tallies: announced.values.sorted { $0.pollID < $1.pollID })
    }

    private func settle(_ batch: inout SettlingBatch) throws(PostgresFailure) {
        for indices in batch.parts { try settle(indices, in: &batch) }
        for ballot in batch.ballots { recentKeys.insert(ballot.key) }
    }

    private func settle(_ indices: [Int], in batch: inout SettlingBatch) throws(PostgresFailure) {
        var likelyRepeats: [Int] = []
        var fresh: [Int] = []
        for index in indices {
            let ballot = batch.ballots[index]
            if recentKeys.contains(ballot.key) || batch.isUncertain(ballot) {
                likelyRepeats.append(index)
            } else {
                fresh.append(index)
            }
        }
        if mergesLeft > 0 || fresh.count < settings.copyBorder {
            mergesLeft = max(0, mergesLeft - 1)
            try store(indices, in: &batch, by: merge)
        } else {
            if !likelyRepeats.isEmpty { try store(likelyRepeats, in: &batch, by: merge) }
            try store(fresh, in: &batch, by: copy)
        }
    }

    // MARK: Attempts

    private typealias Path = (PostgresConnection, VoterGroups, inout SettlingBatch)
        throws(PostgresFailure) -> Void

    /// Stores those of `indices` that their polls take, and answers all of them.
    private func store(_ indices: [Int], in batch: inout SettlingBatch, by path: Path)
        throws(PostgresFailure)
    {
        var indices = indices
        var path = path
        var attempt = 1
        while !indices.isEmpty {
            let groups = VoterGroups(batch.ballots, indices)
            do throws(PostgresFailure) {
                try session.withConnection { (connection) throws(PostgresFailure) in
                    try path(connection, groups, &batch)
                }
                return
            } catch {
                // Refused: the server has rolled it back.
                guard case .refused(let sqlState, _, let detail) = error else { throw error }
                switch sqlState {
                case SQLState.pollRefused:
                    indices = try refuse(indices, PollRefusal(detail), in: &batch)
                case SQLState.uniqueViolation:
                    mergesLeft = Self.mergesAfterRepeat
                    path = merge
                case SQLState.deadlockDetected, SQLState.serializationFailure:
                    guard attempt < Self.attempts else { throw error }
                    attempt += 1
                case SQLState.lockNotAvailable:
                    let triesAgain = try cutOffSilent(waits: attempt == 1)
                    attempt += 1
                    if triesAgain, attempt <= Self.attempts { continue }
                    // An earlier attempt may have stored them: then nobody may say that it did not.
                    if isUncertain { throw error }
                    try storeApart(groups, in: &batch)
                    return
                case SQLState.readOnlyTransaction:
                    // A server that has become a standby: the next connection may find the other.
                    session.giveUp()
                    throw error
                default: throw error
                }
            }
        }
    }

    /// Somebody keeps a row locked: stores poll by poll, so that only the ballots of the locked one
    /// fail, and only now.
    private func storeApart(_ groups: VoterGroups, in batch: inout SettlingBatch)
        throws(PostgresFailure)
    {
        guard groups.polls.count > 1 else {
            for index in groups.groups.lazy.flatMap(\.indices) {
                batch.outcomes[index] = .storageUnavailable
            }
            return
        }
        for poll in groups.polls {
            try store(groups.groups[poll.range].flatMap(\.indices), in: &batch, by: merge)
        }
    }

    /// A gateway that was stopped in the middle of a COPY, or of a transaction of its catalogue, holds
    /// its locks and says nothing. The server's own limits do not see the first, hence this.
    /// - Parameter waits: whether to try again also when one is silent, but not yet for long enough.
    /// - Returns: whether to try again.
    private func cutOffSilent(waits: Bool) throws(PostgresFailure) -> Bool {
        let rows = try session.withConnection { (connection) throws(PostgresFailure) in
            try connection.execute(
                """
                SELECT count(CASE WHEN silence > interval '1 s' THEN pg_terminate_backend(pid) END),
                    count(*)
                FROM (SELECT pid, clock_timestamp() - greatest(query_start, state_change) AS silence
                    FROM pg_stat_activity
                    WHERE datname = current_database() AND usename = current_user
                        AND application_name = current_setting('application_name')
                        AND wait_event = 'ClientRead'
                        AND state IN ('active', 'idle in transaction')
                    OFFSET 0) AS silent
                """, until: postgresDeadline(in: settings.requestLimit))
        }
        let count = try rows.integer(0, 0)
        if count > 0 { notice(.cutOff(Int(count))) }
        if count > 0 || !waits { return count > 0 }
        return try rows.integer(0, 1) > 0
    }

    // MARK: The two paths

    private func copy(
        _ connection: PostgresConnection, _ groups: VoterGroups, _ batch: inout SettlingBatch
    ) throws(PostgresFailure) {
        encoder.begin()
        for group in groups.groups { encoder.append(batch.ballots[group.sent]) }
        encoder.end()
        let rows = try batch.uncertain { (isSending) throws(PostgresFailure) in
            try connection.copy(
                """
                SET LOCAL lock_timeout = \(settings.lockLimit);
                COPY pollstream.ballots (\(CopyEncoder.columns)) FROM STDIN (FORMAT binary);
                SELECT *, (SELECT pollstream.unix_ms())
                    FROM pollstream.settle(\(groups.settleArguments))
                """, encoder.bytes, until: postgresDeadline(in: settings.commitLimit),
                isSending: &isSending)
        }
        noteClock(rows, of: connection)
        try batch.take(groups, rows, exceptions: [:])
    }

    private func merge(
        _ connection: PostgresConnection, _ groups: VoterGroups, _ batch: inout SettlingBatch
    ) throws(PostgresFailure) {
        if batch.hasLimits(groups), !connection.clock.isKnown(at: Clock.monotonicNanoseconds()) {
            let rows = try connection.execute(
                "SELECT pollstream.unix_ms()", until: postgresDeadline(in: settings.requestLimit))
            noteClock(rows, of: connection)
        }
        let parameters = batch.mergeParameters(groups, by: connection.clock)
        let rows = try batch.uncertain { (isSending) throws(PostgresFailure) in
            isSending = true
            return try connection.execute(
                Self.merge, parameters, until: postgresDeadline(in: settings.commitLimit))
        }
        noteClock(rows, of: connection)
        let exceptions = try SettlingBatch.exceptions(in: rows)
        if mergesLeft > 0, exceptions.keys.contains(where: { !recentKeys.contains($0) }) {
            mergesLeft = Self.mergesAfterRepeat
        }
        try batch.take(groups, rows, exceptions: exceptions)
    }

    /// The server's time is the last column of every answer, read once: a deadline costs no question.
    private func noteClock(_ rows: PostgresRows, of connection: PostgresConnection) {
        guard rows.count > 0, let time = try? rows.integer(0, rows.columnCount - 1) else { return }
        connection.clock.note(time, at: Clock.monotonicNanoseconds())
    }

    private static let merge = PostgresStatement(
        name: "pollstream_2_merge",
        sql: """
            SELECT *, (SELECT pollstream.unix_ms())
            FROM pollstream.merge($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            """)

    // MARK: Refusals

    /// Answers the ballots that a poll does not take. - Returns: the others.
    private func refuse(_ indices: [Int], _ refusal: PollRefusal?, in batch: inout SettlingBatch)
        throws(PostgresFailure) -> [Int]
    {
        guard let refusal else { throw .damaged("why a poll refuses") }
        var refused: [Int] = []
        var others: [Int] = []
        for index in indices {
            if refusal.concerns(batch.ballots[index]) {
                refused.append(index)
            } else {
                others.append(index)
            }
        }
        guard !refused.isEmpty else { throw .damaged("which poll refuses") }
        try refuse(refused, refusal.rejection, in: &batch)
        return others
    }

    /// "Rejected" says "not stored", which an earlier attempt may have made untrue.
    private func refuse(
        _ indices: [Int], _ rejection: Rejection, in batch: inout SettlingBatch
    ) throws(PostgresFailure) {
        if indices.isEmpty { return }
        var keys = PostgresParameters()
        keys.append(indices.map { batch.ballots[$0].key })
        let rows = try session.withConnection { (connection) throws(PostgresFailure) in
            try connection.execute(
                Self.findRows, keys, until: postgresDeadline(in: settings.requestLimit))
        }
        try batch.refuse(indices, rejection, stored: rows)
    }

    private static let findRows = PostgresStatement(
        name: "pollstream_1_rows",
        sql: """
            SELECT b.key, b.ballot_id, t.revision
            FROM (SELECT k, ('x' || translate(left(k::text, 13), '-', ''))::bit(48)::bigint AS poll
                FROM unnest($1) AS k) AS n
            JOIN pollstream.ballots b ON b.key = n.k
            JOIN pollstream.tallies t ON t.poll_id = n.poll AND t.deleted_at IS NULL
            """)

    /// A real transaction: a server that is read-only, or whose disk is full, is not back yet.
    private func probe() throws(StoreError) {
        do throws(PostgresFailure) {
            try confirm()
        } catch {
            throw error.storeError(mayBeStored: false)
        }
    }

    /// Commits something, so that what this connection has read is as durable as a commit of its own:
    /// a row may be seen whose commit stopped waiting for the standby.
    private func confirm() throws(PostgresFailure) {
        do throws(PostgresFailure) {
            try session.withConnection { (connection) throws(PostgresFailure) in
                _ = try connection.execute(
                    """
                    SET LOCAL lock_timeout = \(settings.lockLimit);
                    \(PostgresSchema.touch)
                    """, until: postgresDeadline(in: settings.requestLimit))
            }
        } catch {
            if error.sqlState == SQLState.readOnlyTransaction { session.giveUp() }
            throw error
        }
    }
}

/// What `pollstream.settle` says of a poll that takes no ballots: "ID reason option-count".
private struct PollRefusal {
    let pollID: PollID
    let rejection: Rejection
    let optionCount: UInt64

    init?(_ detail: String) {
        let words = detail.split(separator: " ")
        guard words.count >= 2, let number = Int64(words[0]), let id = PollID(number) else {
            return nil
        }
        switch words[1] {
        case "poll_not_found": rejection = .pollNotFound
        case "poll_closed": rejection = .pollClosed
        case "poll_not_open": rejection = .pollNotOpen
        case "options_changed": rejection = .optionsChanged
        case "option_not_found": rejection = .optionNotFound
        default: return nil
        }
        pollID = id
        optionCount = words.count > 2 ? UInt64(words[2]) ?? 0 : 0
    }

    func concerns(_ ballot: Ballot) -> Bool {
        guard ballot.pollID == pollID else { return false }
        // The front door admits no such thing; were it to, the others must not suffer.
        return rejection != .optionNotFound || ballot.choices.mask >> optionCount != 0
    }
}

extension VoterGroups {
    /// The arguments of `pollstream.settle`, as SQL: numbers only.
    fileprivate var settleArguments: String {
        func list(_ values: some Sequence<Int64>) -> String {
            "'{\(values.map { String($0) }.joined(separator: ","))}'"
        }
        return [
            list(polls.lazy.map(\.id.rawValue)), list(polls.lazy.map { Int64($0.edition) }),
            list(polls.lazy.map { Int64(bitPattern: $0.mask) }),
            list(polls.lazy.map { Int64($0.counts.count) }), list(polls.lazy.map(\.ballots)),
            list(polls.lazy.flatMap(\.counts)), "'{}'",
        ].joined(separator: ", ")
    }
}

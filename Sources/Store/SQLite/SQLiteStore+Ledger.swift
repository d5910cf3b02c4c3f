import CSQLite
package import Polls

extension SQLiteStore: LedgerStore {
    /// One transaction, one fsync.
    ///
    /// After `.commitUnknown` settling again finds out what became of each ballot: its id stands in
    /// the row, or it does not. Nothing can have come between that belongs to the same voter, since
    /// one gateway holds the file and its ledger repeats a batch before it takes the next, so a
    /// ballot whose row holds an older one is safely applied. Nor has it to be by a deadline.
    package func settle(_ ballots: [Ballot], until _: [Int64]) throws(StoreError) -> Settlement {
        if ballots.isEmpty {
            try probe()
            return Settlement(outcomes: [], tallies: [])
        }
        let batch = SortedBatch(ballots)
        return try write { (connection) throws(SQLiteFailure) in
            var settling = try BatchSettling(ballots, on: connection, now: clock())
            try batch.forEachPoll { (entries) throws(SQLiteFailure) in
                try settling.settle(entries)
            }
            return settling.settlement
        }
    }

    /// A real commit: a disk that is full, or fails, may still be read.
    private func probe() throws(StoreError) {
        try write { (connection) throws(SQLiteFailure) in
            try connection.statement("UPDATE keys SET value = value WHERE name = 'cookie'").run()
        }
    }
}

/// One batch on its way through one transaction.
private struct BatchSettling {
    private(set) var settlement: Settlement

    private let ballots: [Ballot]
    /// Read under the write lock: a ballot is in time or it is not, whatever it waited for.
    private let now: Int64
    private let connection: SQLiteConnection
    private let readTally, writeTally, readVoter, insert, update: SQLiteStatement

    init(_ ballots: [Ballot], on connection: SQLiteConnection, now: Int64) throws(SQLiteFailure) {
        self.ballots = ballots
        self.now = now
        self.connection = connection
        // Each is replaced: every ballot belongs to exactly one poll's entries.
        settlement = Settlement(
            outcomes: Array(repeating: .storageUnavailable, count: ballots.count), tallies: [])
        readTally = try connection.statement(
            """
            SELECT revision, edition, closes_at, closed_at, is_opened, change_vote, ballots, counts
            FROM tallies WHERE poll_id = ? AND deleted_at IS NULL
            """)
        writeTally = try connection.statement(
            "UPDATE tallies SET revision = ?2, ballots = ?3, counts = ?4 WHERE poll_id = ?1")
        readVoter = try connection.statement(
            "SELECT ballot_id, choices FROM ballots WHERE key = ?")
        insert = try connection.statement(
            """
            INSERT INTO ballots (key, ballot_id, choices, voter, cast_at, previous)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (key) DO NOTHING
            """)
        update = try connection.statement(
            """
            UPDATE ballots SET ballot_id = ?2, choices = ?3, voter = ?4, cast_at = ?5,
                previous = choices
            WHERE key = ?1
            """)
    }

    /// Settles the ballots of one poll.
    mutating func settle(_ entries: ArraySlice<SortedBatch.Entry>) throws(SQLiteFailure) {
        let pollID = ballots[entries[entries.startIndex].index].pollID
        guard var poll = try readPoll(pollID) else {
            for entry in entries { settlement.outcomes[entry.index] = .rejected(.pollNotFound) }
            return
        }
        try SortedBatch.forEachVoter(of: entries) { (entries) throws(SQLiteFailure) in
            try settleVoter(entries, in: &poll)
        }
        if let oldestCast = poll.oldestCast {
            poll.tally.revision = Tally.nextRevision(after: poll.tally.revision, now: now)
            poll.tally.at = oldestCast
            try writeTally.with(
                .integer(pollID.rawValue), .integer(poll.tally.revision),
                .integer(poll.tally.ballots), .text(CountsText.encode(poll.tally.counts))
            ).run()
            settlement.tallies.append(poll.tally)
        }
        for entry in entries {
            settlement.outcomes[entry.index].setRevision(poll.tally.revision)
        }
    }

    /// Settles one voter's ballots in the order in which they came. Outcomes get their revision
    /// when the whole poll is done.
    private mutating func settleVoter(
        _ entries: ArraySlice<SortedBatch.Entry>, in poll: inout PollRow
    ) throws(SQLiteFailure) {
        /// As the row stands, and as the ballots so far leave it.
        var records: (stored: VoterRecord, latest: VoterRecord)?
        var latestBallot: Int?
        for (offset, entry) in entries.enumerated() {
            let ballot = ballots[entry.index]
            if let rejection = poll.rejection(of: ballot, now: now) {
                settlement.outcomes[entry.index] =
                    try isStored(oneOf: entries.dropFirst(offset))
                    ? .counted(revision: 0) : .rejected(rejection)
                continue
            }
            var pair = if let records { records } else { try insertOrRead(ballot, in: &poll) }
            let verdict = pair.latest.take(ballot, allowsChange: poll.allowsChange)
            if verdict == .changed { latestBallot = entry.index }
            settlement.outcomes[entry.index] = BallotOutcome(verdict)
            records = pair
        }
        if let latestBallot, let records, records.latest != records.stored {
            guard poll.counts(records.stored.choices) else {
                // Damaged: what was never counted cannot be taken back. The others of the batch go on.
                for entry in entries { settlement.outcomes[entry.index] = .storageUnavailable }
                return
            }
            let ballot = ballots[latestBallot]
            bind(ballot, to: update)
            try update.run()
            poll.change(from: records.stored.choices, to: ballot)
        }
    }

    /// - Returns: twice the voter's record: of `ballot` where there was none.
    private func insertOrRead(_ ballot: Ballot, in poll: inout PollRow) throws(SQLiteFailure)
        -> (stored: VoterRecord, latest: VoterRecord)
    {
        bind(ballot, to: insert)
        if poll.allowsChange { insert.bind(6, 0) } else { insert.bindNull(6) }
        try insert.run()
        if connection.changedRows == 1 {
            poll.add(ballot)
            let record = VoterRecord(ballotID: ballot.id, choices: ballot.choices)
            return (record, record)
        }
        guard let record = try readRecord(ballot.key) else {
            throw .failed(code: SQLITE_CORRUPT, reason: "a ballot is there and is not")
        }
        return (record, record)
    }

    /// Whether an earlier attempt stored the first of `entries`, which are of one voter: the row
    /// holds it, or a later one that replaced it in the same transaction. "Rejected" says "not
    /// stored", which has to be true.
    private func isStored(oneOf entries: ArraySlice<SortedBatch.Entry>) throws(SQLiteFailure)
        -> Bool
    {
        guard let first = entries.first, let record = try readRecord(first.key) else {
            return false
        }
        return entries.contains { ballots[$0.index].id == record.ballotID }
    }

    private func readPoll(_ id: PollID) throws(SQLiteFailure) -> PollRow? {
        try readTally.with(.integer(id.rawValue)).first { (row) throws(SQLiteFailure) in
            PollRow(
                tally: try row.tally(of: id, revision: 0, ballots: 6, counts: 7, at: now),
                edition: Int32(truncatingIfNeeded: row.integer(1)),
                closesAt: row.optionalInteger(2), isClosed: row.optionalInteger(3) != nil,
                isOpened: row.integer(4) != 0, allowsChange: row.integer(5) != 0)
        }
    }

    private func readRecord(_ key: BallotKey) throws(SQLiteFailure) -> VoterRecord? {
        readVoter.bind(1, key)
        return try readVoter.first { (row) throws(SQLiteFailure) in
            VoterRecord(
                ballotID: row.integer(0),
                choices: Choices(mask: UInt64(bitPattern: row.integer(1))))
        }
    }

    private func bind(_ ballot: Ballot, to statement: SQLiteStatement) {
        statement.bind(1, ballot.key)
        statement.bind(2, ballot.id)
        statement.bind(3, Int64(bitPattern: ballot.choices.mask))
        statement.bind(4, ballot.voter)
        statement.bind(5, ballot.castAt)
    }
}

/// A poll while its part of a batch is settled.
private struct PollRow {
    var tally: Tally
    let edition: Int32
    let closesAt: Int64?
    let isClosed: Bool
    let isOpened: Bool
    let allowsChange: Bool
    /// When the oldest ballot that changed the tally was cast; nil while nothing changed it.
    private(set) var oldestCast: Int64?

    init(
        tally: Tally, edition: Int32, closesAt: Int64?, isClosed: Bool, isOpened: Bool,
        allowsChange: Bool
    ) {
        self.tally = tally
        self.edition = edition
        self.closesAt = closesAt
        self.isClosed = isClosed
        self.isOpened = isOpened
        self.allowsChange = allowsChange
    }

    func rejection(of ballot: Ballot, now: Int64) -> Rejection? {
        if isClosed { return .pollClosed }
        if let closesAt, now >= closesAt { return .pollClosed }
        if !isOpened { return .pollNotOpen }
        if ballot.edition != edition { return .optionsChanged }
        // The front door admits no such thing; were it to, the others of the batch must not suffer.
        if ballot.choices.mask >> UInt64(tally.counts.count) != 0 { return .optionNotFound }
        return nil
    }

    /// Whether the tally holds a ballot with these choices.
    func counts(_ choices: Choices) -> Bool {
        choices.mask >> UInt64(tally.counts.count) == 0
            && tally.counts.indices.allSatisfy { !choices.contains($0) || tally.counts[$0] > 0 }
    }

    mutating func add(_ ballot: Ballot) {
        tally.ballots += 1
        ballot.choices.add(1, to: &tally.counts)
        oldestCast = min(oldestCast ?? .max, ballot.castAt)
    }

    mutating func change(from choices: Choices, to ballot: Ballot) {
        choices.add(-1, to: &tally.counts)
        ballot.choices.add(1, to: &tally.counts)
        oldestCast = min(oldestCast ?? .max, ballot.castAt)
    }
}

extension BallotOutcome {
    /// Without its revision, which `setRevision` adds.
    fileprivate init(_ verdict: VoterRecord.Verdict) {
        self =
            switch verdict {
            case .counted: .counted(revision: 0)
            case .repeated: .repeated(revision: 0)
            case .changed: .changed(revision: 0)
            case .alreadyVoted: .alreadyVoted
            }
    }

    fileprivate mutating func setRevision(_ revision: Int64) {
        switch self {
        case .counted: self = .counted(revision: revision)
        case .repeated: self = .repeated(revision: revision)
        case .changed: self = .changed(revision: revision)
        default: break
        }
    }
}

import Polls

/// One batch on its way into the database, and the outcomes so far. Asks nobody anything.
struct SettlingBatch {
    /// A ballot that was not simply stored.
    struct Exception {
        /// The row as it stands; nil where it is gone.
        let record: VoterRecord?
        /// What it held before our ballot replaced it, just now.
        let previous: Choices?
    }

    let ballots: [Ballot]
    /// Of each, monotonic nanoseconds: then it must not replace another ballot any more.
    private let deadlines: [Int64]
    var outcomes: [BallotOutcome]
    private(set) var tallies: [PollID: Tally] = [:]
    /// The last message may have committed, and no answer came.
    private(set) var mayBeStored = false
    /// A part of the batch has committed.
    private(set) var hasStored = false

    /// Positions of the ballots, in parts that have but one edition of each poll.
    let parts: [[Int]]
    /// Also of polls that this attempt leaves as they are: an earlier one may have changed them, and
    /// nobody was told.
    private let showsEveryTally: Bool
    private let uncertainIDs: Set<Int64>

    init(
        _ ballots: [Ballot], until deadlines: [Int64], showsEveryTally: Bool = false,
        uncertainIDs: Set<Int64> = []
    ) {
        self.ballots = ballots
        self.deadlines = deadlines
        self.showsEveryTally = showsEveryTally
        self.uncertainIDs = uncertainIDs
        // Each is replaced.
        outcomes = Array(repeating: .storageUnavailable, count: ballots.count)
        var editions: [PollID: [Int32]] = [:]
        var parts: [[Int]] = [[]]
        var last: (poll: PollID, edition: Int32, part: Int)?
        for (index, ballot) in ballots.enumerated() {
            // Neighbours are mostly of one poll.
            if let last, last.poll == ballot.pollID, last.edition == ballot.edition {
                parts[last.part].append(index)
                continue
            }
            var known = editions[ballot.pollID] ?? []
            let part = known.firstIndex(of: ballot.edition) ?? known.count
            if part == known.count {
                known.append(ballot.edition)
                editions[ballot.pollID] = known
            }
            if part == parts.count { parts.append([]) }
            parts[part].append(index)
            last = (ballot.pollID, ballot.edition, part)
        }
        self.parts = parts
    }

    /// Runs `attempt`, which sets its argument before the server can commit. Only an answer tells what
    /// became of it; a refusal says that it was rolled back.
    mutating func uncertain<R>(
        _ attempt: (inout Bool) throws(PostgresFailure) -> R
    ) throws(PostgresFailure) -> R {
        do throws(PostgresFailure) {
            let result = try attempt(&mayBeStored)
            mayBeStored = false
            hasStored = true
            return result
        } catch {
            if case .refused = error { mayBeStored = false }
            throw error
        }
    }

    /// An earlier attempt may have stored it, and its voter may have gone on since.
    func isUncertain(_ ballot: Ballot) -> Bool {
        !uncertainIDs.isEmpty && uncertainIDs.contains(ballot.id)
    }

    /// Whether the server has to know until when one of them may replace another ballot.
    func hasLimits(_ groups: VoterGroups) -> Bool {
        groups.groups.contains {
            let ballot = ballots[$0.sent]
            return ballot.allowsChange && deadlines[$0.sent] < .max && !isUncertain(ballot)
        }
    }

    /// What `pollstream.merge` is to make of another ballot of the voter: NULL and -1 leave it, 0
    /// replaces it, and so does anything less for as long as the server's clock is below its amount.
    private func previous(of index: Int, by clock: ServerClock) -> Int64? {
        let ballot = ballots[index]
        if !ballot.allowsChange { return nil }
        if isUncertain(ballot) { return -1 }
        if deadlines[index] == .max { return 0 }
        return -max(2, clock.milliseconds(at: deadlines[index]) ?? 0)
    }

    /// For `pollstream.merge`.
    func mergeParameters(_ groups: VoterGroups, by clock: ServerClock) -> PostgresParameters {
        let sent = groups.groups.map { ballots[$0.sent] }
        var parameters = PostgresParameters()
        parameters.append(sent.map(\.key))
        parameters.append(sent.map(\.id))
        parameters.append(sent.map { Int64(bitPattern: $0.choices.mask) })
        parameters.append(groups.groups.map { previous(of: $0.sent, by: clock) })
        parameters.append(sent.map(\.voter))
        parameters.append(sent.map(\.castAt))
        parameters.append(groups.polls.map(\.id.rawValue))
        parameters.append(groups.polls.map { Int64($0.edition) })
        parameters.append(groups.polls.map { Int64(bitPattern: $0.mask) })
        parameters.append(groups.polls.map(\.ballots))
        parameters.append(
            groups.polls.flatMap { poll in
                poll.counts + Array(repeating: 0, count: 64 - poll.counts.count)
            })
        return parameters
    }

    /// What `pollstream.merge` says of ballots, by key.
    static func exceptions(in rows: PostgresRows) throws(PostgresFailure)
        -> [BallotKey: Exception]
    {
        var exceptions: [BallotKey: Exception] = [:]
        for row in 0..<rows.count where !rows.isNull(row, 5) {
            let record =
                if let id = try rows.optionalInteger(row, 6) {
                    VoterRecord(ballotID: id, choices: try rows.choices(row, 7))
                } else { VoterRecord?.none }
            let previous = rows.isNull(row, 8) ? nil : try rows.choices(row, 8)
            exceptions[try rows.key(row, 5)] = Exception(record: record, previous: previous)
        }
        return exceptions
    }

    /// Takes the answer to `groups`, which has committed.
    mutating func take(
        _ groups: VoterGroups, _ rows: PostgresRows,
        exceptions: [BallotKey: Exception]
    ) throws(PostgresFailure) {
        var parts: [PollID: VoterGroups.PollPart] = [:]
        for poll in groups.polls { parts[poll.id] = poll }
        for row in 0..<rows.count where !rows.isNull(row, 0) {
            let id = try rows.pollID(row, 0)
            guard let part = parts[id] else { throw .damaged("which poll is meant") }
            let revision = try rows.integer(row, 1)
            var oldestCast = Int64.max
            for group in groups.groups[part.range] {
                let exception =
                    exceptions.isEmpty ? nil : exceptions[ballots[group.sent].key]
                if exception == nil || exception?.previous != nil {
                    oldestCast = min(oldestCast, ballots[group.sent].castAt)
                }
                if exception == nil, group.several.isEmpty {
                    outcomes[group.sent] = .counted(revision: revision)
                } else {
                    answer(group, exception, revision: revision)
                }
            }
            guard rows.bool(row, 4) || showsEveryTally else { continue }
            tallies[id] = Tally(
                pollID: id, revision: revision, ballots: try rows.integer(row, 2),
                counts: try rows.integers(row, 3),
                at: oldestCast == .max
                    ? ballots[groups.groups[part.range.lowerBound].sent].castAt : oldestCast)
        }
    }

    /// Judges one voter's ballots in the order in which they came, by the rule that every store has.
    private mutating func answer(
        _ group: VoterGroups.Group, _ exception: Exception?, revision: Int64
    ) {
        var record: VoterRecord?
        var rest = group.indices[...]
        if let exception {
            if let previous = exception.previous {
                // Whose ballot that was does not matter: it was none of these.
                record = VoterRecord(ballotID: 0, choices: previous)
            } else if let stored = exception.record {
                record = stored
                if let ours = rest.lastIndex(where: { ballots[$0].id == stored.ballotID }) {
                    for index in rest[...ours] { outcomes[index] = .counted(revision: revision) }
                    rest = rest[(ours + 1)...]
                }
                // It was to replace what is stored, and has not: its voter may have gone on.
                let sent = ballots[group.sent]
                if sent.allowsChange, sent.choices != stored.choices {
                    for index in rest {
                        outcomes[index] =
                            isUncertain(ballots[index]) ? .commitUnknown : .storageUnavailable
                    }
                    return
                }
            } else {
                // It went with its poll between two statements.
                for index in rest { outcomes[index] = .rejected(.pollNotFound) }
                return
            }
        }
        for index in rest {
            let ballot = ballots[index]
            guard var latest = record else {
                record = VoterRecord(ballotID: ballot.id, choices: ballot.choices)
                outcomes[index] = .counted(revision: revision)
                continue
            }
            let verdict = latest.take(ballot, allowsChange: ballot.allowsChange)
            outcomes[index] = BallotOutcome(verdict, revision: revision)
            record = latest
        }
    }

    /// - Parameter stored: key, ballot id and revision of those that have a row.
    mutating func refuse(
        _ indices: [Int], _ rejection: Rejection, stored: PostgresRows
    ) throws(PostgresFailure) {
        var found: [BallotKey: (id: Int64, revision: Int64)] = [:]
        for row in 0..<stored.count {
            found[try stored.key(row, 0)] = (
                try stored.integer(row, 1), try stored.integer(row, 2)
            )
        }
        // From the last: a ballot that was replaced by a later one of ours had been stored as well.
        var storedKeys: Set<BallotKey> = []
        for index in indices.reversed() {
            let ballot = ballots[index]
            let row = found[ballot.key]
            if row?.id == ballot.id { storedKeys.insert(ballot.key) }
            if let row, storedKeys.contains(ballot.key) {
                outcomes[index] = .counted(revision: row.revision)
            } else {
                outcomes[index] = .rejected(rejection)
            }
        }
    }
}

extension BallotOutcome {
    init(_ verdict: VoterRecord.Verdict, revision: Int64) {
        self =
            switch verdict {
            case .counted: .counted(revision: revision)
            case .repeated: .repeated(revision: revision)
            case .changed: .changed(revision: revision)
            case .alreadyVoted: .alreadyVoted
            }
    }
}

import Polls
import Store

/// A database in memory that several gateways share, by the words of `Store.swift`: written anew and
/// as plainly as can be, so that it agrees with the real ones by their meaning, not by their code.
final class Tables: @unchecked Sendable {
    struct Row {
        var id: Int64
        var choices: Choices
        var voter: String
        var castAt: Int64
    }

    struct Table {
        var record: PollRecord
        var ballots: [BallotKey: Row] = [:]
    }

    private let world: World
    /// By how much the database's clock differs from the gateways', milliseconds.
    private let skew: Int64
    private(set) var polls: [PollID: Table] = [:]
    private var nextPoll: Int64 = 1
    private var nextOption: Int64 = 1

    init(_ world: World, skew: Int64) {
        self.world = world
        self.skew = skew
    }

    var now: Int64 { world.unixMilliseconds + skew }

    // MARK: Ballots

    /// - Parameters:
    ///   - deadlines: of each ballot, by the clock of all; how far the database's own is away from it
    ///     the gateways know.
    ///   - uncertain: ids of ballots that an earlier attempt may have stored.
    ///   - showsAll: also tallies that this attempt leaves as they are.
    func settle(
        _ ballots: [Ballot], until deadlines: [Int64], uncertain: Set<Int64>, showsAll: Bool
    ) -> Settlement {
        let late = Set(zip(ballots, deadlines).filter { $1 <= world.now }.map(\.0.id))
        var outcomes = [BallotOutcome](repeating: .storageUnavailable, count: ballots.count)
        var tallies: [Tally] = []
        for id in Set(ballots.map(\.pollID)).sorted() {
            let indices = ballots.indices.filter { ballots[$0].pollID == id }
            guard var table = polls[id] else {
                for index in indices { outcomes[index] = .rejected(.pollNotFound) }
                continue
            }
            var oldest: Int64?
            for index in indices {
                let rest = indices.drop { $0 < index }.map { ballots[$0] }
                    .filter { $0.key == ballots[index].key }
                let before = table.record.poll.tally
                outcomes[index] = settle(rest, in: &table, uncertain, late)
                if table.record.poll.tally != before {
                    oldest = min(oldest ?? .max, ballots[index].castAt)
                }
            }
            if let oldest, world.mutation != .keepsTheRevision {
                let revision = table.record.poll.tally.revision
                table.record.poll.tally.revision = Tally.nextRevision(after: revision, now: now)
                table.record.poll.tally.at = oldest
            }
            polls[id] = table
            let tally = table.record.poll.tally
            for index in indices { outcomes[index].setRevision(tally.revision) }
            if oldest != nil || showsAll { tallies.append(tally) }
        }
        return Settlement(outcomes: outcomes, tallies: tallies)
    }

    /// - Parameter ballots: the one to settle, and what its voter has behind it in the batch.
    private func settle(
        _ ballots: [Ballot], in table: inout Table, _ uncertain: Set<Int64>, _ late: Set<Int64>
    ) -> BallotOutcome {
        let ballot = ballots[0]
        let row = table.ballots[ballot.key]
        if let row, ballots.contains(where: { $0.id == row.id }) { return .counted(revision: 0) }
        if let rejection = rejection(of: ballot, by: table.record.poll) {
            if world.mutation == .storesTheRefused { add(ballot, to: &table) }
            return .rejected(rejection)
        }
        guard let row else {
            add(ballot, to: &table)
            return .counted(revision: 0)
        }
        if world.mutation == .countsRepeats { table.record.poll.tally.ballots += 1 }
        if row.choices == ballot.choices { return .repeated(revision: 0) }
        guard ballot.allowsChange else { return .alreadyVoted }
        if uncertain.contains(ballot.id) {
            world.count("ballots overtaken")
            if world.mutation != .appliesAgain { return .commitUnknown }
        }
        if late.contains(ballot.id) {
            world.count("ballots too late")
            if world.mutation != .replacesLate { return .storageUnavailable }
        }
        row.choices.add(-1, to: &table.record.poll.tally.counts)
        ballot.choices.add(1, to: &table.record.poll.tally.counts)
        table.ballots[ballot.key] = Row(ballot)
        return .changed(revision: 0)
    }

    private func add(_ ballot: Ballot, to table: inout Table) {
        guard table.ballots[ballot.key] == nil else { return }
        table.record.poll.tally.ballots += 1
        ballot.choices.add(1, to: &table.record.poll.tally.counts)
        if world.mutation == .losesBallots, ballot.id % 16 == 0 { return }
        table.ballots[ballot.key] = Row(ballot)
    }

    private func rejection(of ballot: Ballot, by poll: Poll) -> Rejection? {
        if world.mutation != .countsAfterClose {
            if poll.closedAt != nil { return .pollClosed }
            if let end = poll.endTime, now >= end { return .pollClosed }
        }
        if !poll.isOpened { return .pollNotOpen }
        if ballot.edition != poll.edition { return .optionsChanged }
        return nil
    }

    // MARK: Polls

    func create(_ draft: PollDraft, hostKeyHash: [UInt8], joinCode: String)
        throws(StoreError) -> PollRecord
    {
        if polls.values.contains(where: { $0.record.poll.joinCode == joinCode }) {
            throw .joinCodeTaken
        }
        let id = PollID(nextPoll)!
        nextPoll += 1
        let revision = Tally.nextRevision(after: 0, now: now)
        let poll = Poll(
            id: id, title: draft.title, description: draft.description,
            creatorName: draft.creatorName, options: makeOptions(draft.options), kind: draft.kind,
            maxChoices: draft.maxChoices, results: draft.results, allowsChange: draft.allowsChange,
            createdAt: now, startsAt: draft.startsAt, endTime: draft.endTime, closedAt: nil,
            joinCode: joinCode, edition: 0, isOpened: draft.startsAt.map { $0 <= now } ?? true,
            shownRevision: revision,
            tally: Tally(
                pollID: id, revision: revision, ballots: 0, counts: draft.options.map { _ in 0 },
                at: now))
        let record = PollRecord(poll: poll, hostKeyHash: hostKeyHash)
        polls[id] = Table(record: record)
        return record
    }

    func change(_ id: PollID, _ change: PollChange) throws(StoreError) -> PollRecord {
        try update(id) { poll throws(StoreError) in
            if poll.closedAt != nil || now >= poll.endTime ?? .max { throw .pollClosed }
            if let title = change.title { poll.title = title }
            if let description = change.description { poll.description = description }
            if let results = change.results { poll.results = results }
            if let end = change.endTime {
                if let end, let start = poll.startsAt, end <= start { throw .endBeforeStart }
                poll.endTime = end
            }
            if let texts = change.options, texts != poll.options.map(\.text) {
                if poll.tally.ballots > 0 { throw .hasBallots }
                let allowedAll = poll.maxChoices == poll.options.count
                poll.options = makeOptions(texts)
                poll.tally.counts = texts.map { _ in 0 }
                poll.edition += 1
                if poll.kind == .multiple {
                    poll.maxChoices =
                        allowedAll ? texts.count : min(poll.maxChoices, texts.count)
                }
            }
            return true
        }.0
    }

    func open(_ id: PollID) throws(StoreError) -> (PollRecord, changed: Bool) {
        try update(id) { poll throws(StoreError) in
            if poll.closedAt != nil || now >= poll.endTime ?? .max { throw .pollClosed }
            if poll.isOpened { return false }
            poll.isOpened = true
            poll.startsAt = now
            return true
        }
    }

    func close(_ id: PollID) throws(StoreError) -> (PollRecord, changed: Bool) {
        try update(id) { poll throws(StoreError) in
            if poll.closedAt != nil { return false }
            poll.closedAt = now
            return true
        }
    }

    func delete(_ id: PollID) throws(StoreError) -> Int64 {
        guard let table = polls.removeValue(forKey: id) else { throw .pollNotFound }
        return Tally.nextRevision(after: table.record.poll.tally.revision, now: now)
    }

    func makeDueTransition() throws(StoreError) -> (PollRecord, PollTransition)? {
        for (id, table) in polls.sorted(by: { $0.key < $1.key }) where isDue(table.record.poll) {
            let opens = !table.record.poll.isOpened
            let (record, _) = try update(id) { poll throws(StoreError) in
                if opens { poll.isOpened = true } else { poll.closedAt = now }
                return true
            }
            return (record, opens ? .opened : .closed)
        }
        return nil
    }

    func millisecondsUntilNextTransition() -> Int64? {
        polls.values.compactMap { $0.record.poll.nextTransition }.min().map { max(0, $0 - now) }
    }

    private func isDue(_ poll: Poll) -> Bool { poll.nextTransition.map { $0 <= now } ?? false }

    private func makeOptions(_ texts: [String]) -> [PollOption] {
        texts.map { text in
            defer { nextOption += 1 }
            return PollOption(id: nextOption, text: text)
        }
    }

    /// - Parameter edit: tells whether it changed anything.
    private func update(
        _ id: PollID, _ edit: (inout Poll) throws(StoreError) -> Bool
    ) throws(StoreError) -> (PollRecord, changed: Bool) {
        guard var record = polls[id]?.record else { throw .pollNotFound }
        let isChanged = try edit(&record.poll)
        if isChanged {
            let revision = Tally.nextRevision(after: record.poll.tally.revision, now: now)
            record.poll.tally.revision = revision
            record.poll.shownRevision = revision
            polls[id]?.record = record
        }
        // What was read has the time of the read.
        record.poll.tally.at = now
        return (record, isChanged)
    }
}

extension Tables.Row {
    init(_ ballot: Ballot) {
        self.init(
            id: ballot.id, choices: ballot.choices, voter: ballot.voter, castAt: ballot.castAt)
    }
}

extension Poll {
    /// When it opens or closes by itself.
    fileprivate var nextTransition: Int64? {
        if closedAt != nil { nil } else if !isOpened { startsAt } else { endTime }
    }
}

extension BallotOutcome {
    fileprivate mutating func setRevision(_ revision: Int64) {
        switch self {
        case .counted: self = .counted(revision: revision)
        case .repeated: self = .repeated(revision: revision)
        case .changed: self = .changed(revision: revision)
        default: break
        }
    }
}

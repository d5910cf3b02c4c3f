import Polls
import Store
import Threads

/// Polls in memory, with the contract's rules, a database clock that is set by hand, and faults on
/// command.
final class MemoryStore: CatalogueStore, ExportStore, @unchecked Sendable {
    // Guarded by `monitor`: all that follow.
    private let monitor = Monitor()
    private var now: Int64 = 0
    private var records: [PollID: PollRecord] = [:]
    private var nextID: Int64 = 1
    private var isBlocked = false
    private var entered = 0
    private var isDown = false
    private var errors: [StoreError] = []
    private var reads: [[PollID]] = []

    var readCalls: [[PollID]] { monitor.withLock { reads } }

    func setTime(_ time: Int64) { monitor.withLock { now = time } }
    func setDown(_ isDown: Bool) { monitor.withLock { self.isDown = isDown } }

    /// The next calls that change or read polls throw these, in turn.
    func fail(_ errors: [StoreError]) { monitor.withLock { self.errors = errors } }

    /// Calls that begin from now on wait for `unblock`.
    func block() { monitor.withLock { isBlocked = true } }

    func unblock() {
        monitor.withLock { isBlocked = false }
        monitor.signalAll()
    }

    /// Returns once a call waits for `unblock`.
    func waitUntilBlocked() { monitor.withLock { while entered == 0 { monitor.wait() } } }

    func create(_ draft: PollDraft, hostKeyHash: [UInt8], joinCode: String)
        throws(StoreError) -> PollRecord
    {
        try call { () throws(StoreError) in
            if records.values.contains(where: { $0.poll.joinCode == joinCode }) {
                throw .joinCodeTaken
            }
            let id = PollID(nextID)!
            nextID += 1
            let options = draft.options.enumerated().map { index, text in
                PollOption(id: id.rawValue * 100 + Int64(index), text: text)
            }
            let tally = Tally(
                pollID: id, revision: 1, ballots: 0, counts: options.map { _ in 0 }, at: now)
            let poll = Poll(
                id: id, title: draft.title, description: draft.description,
                creatorName: draft.creatorName, options: options, kind: draft.kind,
                maxChoices: draft.maxChoices, results: draft.results,
                allowsChange: draft.allowsChange, createdAt: now, startsAt: draft.startsAt,
                endTime: draft.endTime, closedAt: nil, joinCode: joinCode, edition: 1,
                isOpened: draft.startsAt == nil, shownRevision: 1, tally: tally,
                asksName: draft.asksName)
            records[id] = PollRecord(poll: poll, hostKeyHash: hostKeyHash)
            return records[id]!
        }
    }

    func read(_ ids: [PollID]) throws(StoreError) -> [PollRecord?] {
        try call {
            reads.append(ids)
            return ids.map { records[$0] }
        }
    }

    func find(joinCode: String) throws(StoreError) -> PollRecord? {
        try call { records.values.first { $0.poll.joinCode == joinCode } }
    }

    func list(_ filter: PollFilter, page: Int, pageSize: Int) throws(StoreError) -> PollPage {
        try call {
            let polls = records.values.map(\.poll).sorted { $0.id > $1.id }
            return PollPage(
                polls: Array(polls.dropFirst((page - 1) * pageSize).prefix(pageSize)),
                count: polls.count)
        }
    }

    func change(_ id: PollID, _ change: PollChange) throws(StoreError) -> PollRecord {
        try update(id) { poll throws(StoreError) in
            if poll.closedAt != nil { throw .pollClosed }
            if let title = change.title { poll.title = title }
            if let endTime = change.endTime { poll.endTime = endTime }
            return true
        }.0
    }

    func open(_ id: PollID) throws(StoreError) -> (PollRecord, changed: Bool) {
        try update(id) { poll throws(StoreError) in
            if poll.closedAt != nil { throw .pollClosed }
            defer { poll.isOpened = true }
            return !poll.isOpened
        }
    }

    func close(_ id: PollID) throws(StoreError) -> (PollRecord, changed: Bool) {
        try update(id) { poll throws(StoreError) in
            defer { poll.closedAt = poll.closedAt ?? now }
            return poll.closedAt == nil
        }
    }

    func delete(_ id: PollID) throws(StoreError) -> Int64 {
        try call { () throws(StoreError) in
            guard let record = records.removeValue(forKey: id) else { throw .pollNotFound }
            return record.poll.tally.revision + 1
        }
    }

    func makeDueTransitions(limit: Int) throws(StoreError) -> [(PollRecord, PollTransition)] {
        try call {
            var made: [(PollRecord, PollTransition)] = []
            for (id, record) in records.sorted(by: { $0.key < $1.key }) where made.count < limit {
                guard let transition = due(record.poll) else { continue }
                var record = record
                record.poll.tally.revision += 1
                if transition == .opened {
                    record.poll.isOpened = true
                } else {
                    record.poll.closedAt = now
                }
                records[id] = record
                made.append((record, transition))
            }
            return made
        }
    }

    func millisecondsUntilNextTransition() throws(StoreError) -> Int64? {
        try call {
            let times = records.values.compactMap { record -> Int64? in
                let poll = record.poll
                if poll.closedAt != nil { return nil }
                return [poll.isOpened ? nil : poll.startsAt, poll.endTime].compactMap { $0 }.min()
            }
            return times.min().map { max(0, $0 - now) }
        }
    }

    func choices(of keys: [BallotKey]) throws(StoreError) -> [Choices?] {
        try call { keys.map { $0.low == 1 ? Choices(mask: 1) : nil } }
    }

    func audit(_ id: PollID) throws(StoreError) -> Audit {
        try call { () throws(StoreError) in
            guard let tally = records[id]?.poll.tally else { throw .pollNotFound }
            return Audit(tally: tally, ballots: tally.ballots, counts: tally.counts)
        }
    }

    func ballots(of id: PollID, after key: BallotKey?, limit: Int)
        throws(StoreError) -> [StoredBallot]
    {
        try call {
            (0..<limit).map { index in
                StoredBallot(
                    key: BallotKey(poll: id, voter: VoterKey(high: 0, low: UInt64(index))),
                    choices: Choices(mask: 1), voter: "", castAt: 0)
            }
        }
    }

    private func due(_ poll: Poll) -> PollTransition? {
        if poll.closedAt != nil { return nil }
        if let endTime = poll.endTime, endTime <= now { return .closed }
        if !poll.isOpened, let startsAt = poll.startsAt, startsAt <= now { return .opened }
        return nil
    }

    private func update(
        _ id: PollID, _ body: (inout Poll) throws(StoreError) -> Bool
    ) throws(StoreError) -> (PollRecord, changed: Bool) {
        try call { () throws(StoreError) in
            guard var record = records[id] else { throw .pollNotFound }
            let isChanged = try body(&record.poll)
            if isChanged { record.poll.tally.revision += 1 }
            records[id] = record
            return (record, changed: isChanged)
        }
    }

    private func call<Value>(_ body: () throws(StoreError) -> Value) throws(StoreError) -> Value {
        monitor.lock()
        defer { monitor.unlock() }
        entered += isBlocked ? 1 : 0
        monitor.signalAll()
        while isBlocked { monitor.wait() }
        if isDown { throw .unavailable(reason: "down") }
        if !errors.isEmpty { throw errors.removeFirst() }
        return try body()
    }
}

import Polls
import Store

/// What the gateways of a run store their polls and ballots in.
protocol Database: AnyObject {
    /// A gateway's ledger has a connection of its own, and so has its catalogue. Without faults.
    func makeLedger() -> any LedgerDatabase
    func makeCatalogue() -> any CatalogueStore
    /// Whether it is a process of its own: what was sent to it arrives although the gateway has died.
    var outlivesGateways: Bool { get }
    /// A gateway has died. Its ledger and its catalogue are of no further use.
    func takeDeath()
    /// What stands there now.
    func record(_ id: PollID) -> PollRecord?
    func ballots(of id: PollID) -> [StoredBallot]
}

protocol LedgerDatabase: AnyObject {
    /// - Parameter deadlines: as `LedgerStore.settle` has them, which the database knows to keep.
    func settle(_ ballots: [Ballot], until deadlines: [Int64]) throws(StoreError) -> Settlement
    /// The end of the last attempt did not become known.
    func forgetEnd(of ballots: [Ballot])
}

/// `Tables`, as many gateways at once as there are.
final class MemoryDatabase: Database {
    private let tables: Tables

    init(_ tables: Tables) { self.tables = tables }

    var outlivesGateways: Bool { true }

    func takeDeath() {}

    func makeLedger() -> any LedgerDatabase { MemoryLedger(tables) }
    func makeCatalogue() -> any CatalogueStore { MemoryCatalogue(tables) }
    func record(_ id: PollID) -> PollRecord? { tables.polls[id]?.record }

    func ballots(of id: PollID) -> [StoredBallot] {
        (tables.polls[id]?.ballots ?? [:]).sorted { $0.key < $1.key }.map { key, row in
            StoredBallot(key: key, choices: row.choices, voter: row.voter, castAt: row.castAt)
        }
    }
}

private final class MemoryLedger: LedgerDatabase {
    private let tables: Tables
    private var isUncertain = false
    private var uncertain: Set<Int64> = []

    init(_ tables: Tables) { self.tables = tables }

    func settle(_ ballots: [Ballot], until deadlines: [Int64]) throws(StoreError) -> Settlement {
        defer {
            isUncertain = false
            uncertain.removeAll()
        }
        return tables.settle(
            ballots, until: deadlines, uncertain: uncertain, showsAll: isUncertain)
    }

    func forgetEnd(of ballots: [Ballot]) {
        isUncertain = true
        uncertain.formUnion(ballots.filter(\.allowsChange).map(\.id))
    }
}

private final class MemoryCatalogue: CatalogueStore {
    private let tables: Tables

    init(_ tables: Tables) { self.tables = tables }

    func create(_ draft: PollDraft, hostKeyHash: [UInt8], joinCode: String)
        throws(StoreError) -> PollRecord
    {
        try tables.create(draft, hostKeyHash: hostKeyHash, joinCode: joinCode)
    }

    func read(_ ids: [PollID]) -> [PollRecord?] {
        ids.map { id in
            var record = tables.polls[id]?.record
            record?.poll.tally.at = tables.now
            return record
        }
    }

    func find(joinCode: String) -> PollRecord? {
        tables.polls.values.first { $0.record.poll.joinCode == joinCode }?.record
    }

    func list(_ filter: PollFilter, page: Int, pageSize: Int) -> PollPage {
        PollPage(polls: [], count: 0)
    }

    func change(_ id: PollID, _ change: PollChange) throws(StoreError) -> PollRecord {
        try tables.change(id, change)
    }

    func open(_ id: PollID) throws(StoreError) -> (PollRecord, changed: Bool) {
        try tables.open(id)
    }

    func close(_ id: PollID) throws(StoreError) -> (PollRecord, changed: Bool) {
        try tables.close(id)
    }

    func delete(_ id: PollID) throws(StoreError) -> Int64 { try tables.delete(id) }

    func makeDueTransitions(limit: Int) throws(StoreError) -> [(PollRecord, PollTransition)] {
        var made: [(PollRecord, PollTransition)] = []
        while made.count < limit, let transition = try tables.makeDueTransition() {
            made.append(transition)
        }
        return made
    }

    func millisecondsUntilNextTransition() -> Int64? { tables.millisecondsUntilNextTransition() }

    func choices(of keys: [BallotKey]) -> [Choices?] {
        keys.map { tables.polls[PollID(Int64($0.high >> 16))!]?.ballots[$0]?.choices }
    }
}

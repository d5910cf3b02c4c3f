import Polls
import TestServers
import Testing

@testable import Store

/// The two stores, which every test of what a store does is run on.
enum Backend: CaseIterable { case sqlite, postgres }

typealias AnyStore = LedgerStore & CatalogueStore & ExportStore & RetentionStore & EventStore

/// The parts of a PostgresStore as one.
final class PostgresParts: AnyStore {
    let store: PostgresStore
    let ledger: any LedgerStore
    let catalogue: any CatalogueStore & RetentionStore
    let exports: any ExportStore
    let recorded: any EventStore

    init(_ store: PostgresStore) throws {
        self.store = store
        _ = try store.prepare(migrates: true)
        ledger = store.makeLedger()
        catalogue = store.makeCatalogue()
        exports = store.makeExports()
        recorded = store.makeEvents()
    }

    func settle(_ ballots: [Ballot], until deadlines: [Int64]) throws(StoreError) -> Settlement {
        try ledger.settle(ballots, until: deadlines)
    }
    func create(_ draft: PollDraft, hostKeyHash: [UInt8], joinCode: String) throws(StoreError)
        -> PollRecord
    { try catalogue.create(draft, hostKeyHash: hostKeyHash, joinCode: joinCode) }
    func read(_ ids: [PollID]) throws(StoreError) -> [PollRecord?] { try catalogue.read(ids) }
    func refresh(_ known: [KnownPoll]) throws(StoreError) -> RefreshedPolls {
        try catalogue.refresh(known)
    }
    func find(joinCode: String) throws(StoreError) -> PollRecord? {
        try catalogue.find(joinCode: joinCode)
    }
    func list(_ filter: PollFilter, page: Int, pageSize: Int) throws(StoreError) -> PollPage {
        try catalogue.list(filter, page: page, pageSize: pageSize)
    }
    func change(_ id: PollID, _ change: PollChange) throws(StoreError) -> PollRecord {
        try catalogue.change(id, change)
    }
    func open(_ id: PollID) throws(StoreError) -> (PollRecord, changed: Bool) {
        try catalogue.open(id)
    }
    func close(_ id: PollID) throws(StoreError) -> (PollRecord, changed: Bool) {
        try catalogue.close(id)
    }
    func delete(_ id: PollID) throws(StoreError) -> Int64 { try catalogue.delete(id) }
    func makeDueTransitions(limit: Int) throws(StoreError) -> [(PollRecord, PollTransition)] {
        try catalogue.makeDueTransitions(limit: limit)
    }
    func millisecondsUntilNextTransition() throws(StoreError) -> Int64? {
        try catalogue.millisecondsUntilNextTransition()
    }
    func choices(of keys: [BallotKey]) throws(StoreError) -> [Choices?] {
        try catalogue.choices(of: keys)
    }
    func audit(_ id: PollID) throws(StoreError) -> Audit { try exports.audit(id) }
    func ballots(of id: PollID, after key: BallotKey?, limit: Int) throws(StoreError)
        -> [StoredBallot]
    { try exports.ballots(of: id, after: key, limit: limit) }
    func retain(_ step: RetentionStep, closedForMilliseconds age: Int64, limit: Int)
        throws(StoreError) -> Int
    { try catalogue.retain(step, closedForMilliseconds: age, limit: limit) }
    func setRecording(_ isOn: Bool) throws(StoreError) { try recorded.setRecording(isOn) }
    func isRecording() throws(StoreError) -> Bool { try recorded.isRecording() }
    func lease(to node: Int64, forMilliseconds duration: Int64) throws(StoreError) -> Bool {
        try recorded.lease(to: node, forMilliseconds: duration)
    }
    func endLease(of node: Int64) throws(StoreError) { try recorded.endLease(of: node) }
    func events(limit: Int) throws(StoreError) -> [RecordedEvent] {
        try recorded.events(limit: limit)
    }
    func forget(_ ids: [RecordedEvent.ID]) throws(StoreError) { try recorded.forget(ids) }
    func eventCount() throws(StoreError) -> Int64 { try recorded.eventCount() }
}

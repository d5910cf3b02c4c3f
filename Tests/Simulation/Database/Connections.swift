import Ledger
import Polls
import Store

/// What the way to the database does to those who use it.
final class StorageFaults: @unchecked Sendable {
    /// Nothing gets through.
    var isDown = false
    /// Chances, of each call: it is refused; it is lost on its way; its answer is.
    var refused = 0.0
    var lost = 0.0
    var answerLost = 0.0

    enum Fate { case works, refused, lost, answerLost }

    func fate(in world: World) -> Fate {
        if isDown { return .refused }
        if world.chance.happens(refused) { return .refused }
        if world.chance.happens(lost) { return .lost }
        if world.chance.happens(answerLost) { return .answerLost }
        return .works
    }
}

/// A ledger's connection, with faults, before a witness.
final class LedgerConnection {
    private let world: World
    private let database: any LedgerDatabase
    private let faults: StorageFaults
    private let witness: Witness
    /// What was sent arrives although the gateway has died.
    let outlivesGateway: Bool

    init(_ world: World, _ database: any Database, _ faults: StorageFaults, _ witness: Witness) {
        self.world = world
        self.database = database.makeLedger()
        outlivesGateway = database.outlivesGateways
        self.faults = faults
        self.witness = witness
    }

    func settle(_ waiting: WaitingBallots) -> Result<Settlement, StoreError> {
        var ballots = waiting.ballots
        if world.mutation == .mistakesVoters { ballots = ballots.map(mistaken) }
        do throws(StoreError) {
            let fate = faults.fate(in: world)
            if fate == .refused { throw .unavailable(reason: "refused") }
            if ballots.isEmpty { return .success(Settlement(outcomes: [], tallies: [])) }
            world.tell("commit of \(ballots.count): \(fate)")
            world.count(fate == .works ? "commits" : "commits unknown")
            if fate == .lost {
                database.forgetEnd(of: ballots)
                throw .commitUnknown(reason: "lost")
            }
            let settlement = try database.settle(ballots, until: waiting.deadlines)
            witness.look(at: ballots.map(\.pollID))
            if fate == .answerLost {
                database.forgetEnd(of: ballots)
                throw .commitUnknown(reason: "answer lost")
            }
            return .success(settlement)
        } catch {
            return .failure(error)
        }
    }

    private func mistaken(_ ballot: Ballot) -> Ballot {
        var ballot = ballot
        if ballot.id % 2 == 0 {
            ballot.key = BallotKey(high: ballot.key.high, low: ~ballot.key.low)
        }
        return ballot
    }
}

/// A catalogue's connection, with faults, before a witness.
final class CatalogueConnection: CatalogueStore, @unchecked Sendable {
    private let world: World
    private let store: any CatalogueStore
    private let faults: StorageFaults
    private let witness: Witness

    init(_ world: World, _ store: any CatalogueStore, _ faults: StorageFaults, _ witness: Witness) {
        self.world = world
        self.store = store
        self.faults = faults
        self.witness = witness
    }

    func create(_ draft: PollDraft, hostKeyHash: [UInt8], joinCode: String)
        throws(StoreError) -> PollRecord
    {
        try write("create", { [$0.poll.id] }) { () throws(StoreError) in
            try store.create(draft, hostKeyHash: hostKeyHash, joinCode: joinCode)
        }
    }

    func change(_ id: PollID, _ change: PollChange) throws(StoreError) -> PollRecord {
        try write("change \(id.rawValue)", { _ in [id] }) { () throws(StoreError) in
            try store.change(id, change)
        }
    }

    func open(_ id: PollID) throws(StoreError) -> (PollRecord, changed: Bool) {
        try write("open \(id.rawValue)", { _ in [id] }) { () throws(StoreError) in
            try store.open(id)
        }
    }

    func close(_ id: PollID) throws(StoreError) -> (PollRecord, changed: Bool) {
        try write("close \(id.rawValue)", { _ in [id] }) { () throws(StoreError) in
            try store.close(id)
        }
    }

    func delete(_ id: PollID) throws(StoreError) -> Int64 {
        try write("delete \(id.rawValue)", { _ in [id] }) { () throws(StoreError) in
            try store.delete(id)
        }
    }

    func makeDueTransitions(limit: Int) throws(StoreError) -> [(PollRecord, PollTransition)] {
        try write("transitions", { $0.map(\.0.poll.id) }) { () throws(StoreError) in
            try store.makeDueTransitions(limit: limit)
        }
    }

    func read(_ ids: [PollID]) throws(StoreError) -> [PollRecord?] {
        try read { () throws(StoreError) in try store.read(ids) }
    }

    func refresh(_ known: [KnownPoll]) throws(StoreError) -> RefreshedPolls {
        if world.mutation == .neverRefreshes { return RefreshedPolls(changed: [], gone: []) }
        return try read { () throws(StoreError) in
            let polls = try store.refresh(known)
            if world.mutation != .hidesDeletions { return polls }
            return RefreshedPolls(changed: polls.changed, gone: [])
        }
    }

    func find(joinCode: String) throws(StoreError) -> PollRecord? {
        try read { () throws(StoreError) in try store.find(joinCode: joinCode) }
    }

    func list(_ filter: PollFilter, page: Int, pageSize: Int) throws(StoreError) -> PollPage {
        try read { () throws(StoreError) in
            try store.list(filter, page: page, pageSize: pageSize)
        }
    }

    func choices(of keys: [BallotKey]) throws(StoreError) -> [Choices?] {
        if world.mutation == .showsWhatIsHidden { return keys.map { _ in Choices(mask: 1) } }
        return try read { () throws(StoreError) in try store.choices(of: keys) }
    }

    func millisecondsUntilNextTransition() throws(StoreError) -> Int64? {
        try read { () throws(StoreError) in try store.millisecondsUntilNextTransition() }
    }

    private func read<Value>(_ body: () throws(StoreError) -> Value) throws(StoreError) -> Value {
        if faults.fate(in: world) != .works {
            world.tell("a read is refused")
            throw .unavailable(reason: "no answer")
        }
        return try body()
    }

    private func write<Value>(
        _ name: String, _ changed: (Value) -> [PollID], _ body: () throws(StoreError) -> Value
    ) throws(StoreError) -> Value {
        let fate = faults.fate(in: world)
        if name != "transitions" { world.tell("\(name): \(fate)") }
        switch fate {
        case .refused: throw .unavailable(reason: "refused")
        case .lost: throw .commitUnknown(reason: "lost")
        case .works, .answerLost:
            let value = try body()
            witness.look(at: changed(value))
            world.count("changes")
            if fate == .answerLost { throw .commitUnknown(reason: "answer lost") }
            return value
        }
    }
}

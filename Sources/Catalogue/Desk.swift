import Polls
import Store
import Telemetry

/// Answers requests from the store, and announces what they changed before it answers. Used by the
/// catalogue's thread only.
final class Desk {
    private let store: any CatalogueStore
    private let health: Health
    private let log: Log
    private let makeHostKey: @Sendable () -> (key: String, hash: [UInt8])
    private let makeJoinCode: @Sendable () -> String
    private let happened: @Sendable (PollEvent) -> Void

    /// A code is taken by chance once in a while; so often in a row only where codes run out.
    private static let joinCodeAttempts = 8

    init(
        store: any CatalogueStore, health: Health, log: Log,
        makeHostKey: @escaping @Sendable () -> (key: String, hash: [UInt8]),
        makeJoinCode: @escaping @Sendable () -> String,
        happened: @escaping @Sendable (PollEvent) -> Void
    ) {
        self.store = store
        self.health = health
        self.log = log
        self.makeHostKey = makeHostKey
        self.makeJoinCode = makeJoinCode
        self.happened = happened
    }

    /// - Precondition: not an export.
    func answer(_ request: CatalogueRequest) -> CatalogueAnswer {
        do throws(StoreError) {
            let answer = try perform(request)
            health.recover()
            return answer
        } catch {
            health.note(error)
            return .refused(error.refusal(ofChange: request.isChange))
        }
    }

    /// Answers several reads with one: each its own polls, in its own order.
    func answer(reads: [[PollID]]) -> [CatalogueAnswer] {
        let ids = Array(Set(reads.joined()))
        guard case .polls(let records) = answer(.read(ids)) else {
            return reads.map { _ in .refused(.storageUnavailable) }
        }
        let found = Dictionary(uniqueKeysWithValues: zip(ids, records))
        return reads.map { .polls($0.map { found[$0] ?? nil }) }
    }

    private func perform(_ request: CatalogueRequest) throws(StoreError) -> CatalogueAnswer {
        switch request {
        case .create(let draft): return try create(draft)
        case .read(let ids): return .polls(try store.read(ids))
        case .refresh(let known): return .refreshed(try store.refresh(known))
        case .find(let joinCode):
            guard let record = try store.find(joinCode: joinCode) else {
                return .refused(.pollNotFound)
            }
            return .poll(record)
        case .list(let filter, let page, let pageSize):
            return .page(try store.list(filter, page: page, pageSize: pageSize))
        case .change(let id, let change):
            let record = try store.change(id, change)
            happened(.changed(record, .edited))
            return .poll(record)
        case .open(let id): return announced(try store.open(id), .opened)
        case .close(let id): return announced(try store.close(id), .closed)
        case .delete(let id):
            happened(.deleted(id, revision: try store.delete(id)))
            return .deleted
        case .hasBallot(let key): return .ballot(exists: try store.hasBallot(key))
        case .choices(let keys): return .choices(try store.choices(of: keys))
        case .audit, .ballots: preconditionFailure("exports have threads of their own")
        }
    }

    private func create(_ draft: PollDraft) throws(StoreError) -> CatalogueAnswer {
        let hostKey = makeHostKey()
        for _ in 0..<Self.joinCodeAttempts {
            do throws(StoreError) {
                let record = try store.create(
                    draft, hostKeyHash: hostKey.hash, joinCode: makeJoinCode())
                happened(.created(record.poll.id))
                return .created(record, hostKey: hostKey.key)
            } catch {
                if error != .joinCodeTaken { throw error }
            }
        }
        log.error("no free join code", ["attempts": "\(Self.joinCodeAttempts)"])
        return .refused(.overloaded)
    }

    /// A poll that was open, or closed, already is no news.
    private func announced(
        _ result: (record: PollRecord, changed: Bool), _ transition: PollTransition
    ) -> CatalogueAnswer {
        if result.changed { happened(.changed(result.record, transition)) }
        return .poll(result.record)
    }
}

extension CatalogueRequest {
    /// Leaves something behind: whether it did may be unknown.
    var isChange: Bool {
        switch self {
        case .create, .change, .open, .close, .delete: true
        case .read, .refresh, .find, .list, .hasBallot, .choices, .audit, .ballots: false
        }
    }

    /// Reads for long.
    /// Nothing depends on it but what its asker sees.
    var isQuestion: Bool {
        switch self {
        case .find, .list, .hasBallot, .choices: true
        default: false
        }
    }

    var isExport: Bool {
        switch self {
        case .audit, .ballots: true
        default: false
        }
    }
}

extension StoreError {
    func refusal(ofChange isChange: Bool) -> CatalogueRefusal {
        switch self {
        case .pollNotFound: .pollNotFound
        case .pollClosed: .pollClosed
        case .hasBallots: .hasBallots
        case .endBeforeStart: .invalid(InvalidPoll("end_time", "Give a time after starts_at."))
        case .joinCodeTaken: .overloaded
        case .unavailable: .storageUnavailable
        // Only `unavailable` promises that nothing was stored.
        case .commitUnknown, .unusable: isChange ? .commitUnknown : .storageUnavailable
        }
    }
}

extension Health {
    /// An error of the request shows that the store answers.
    func note(_ error: StoreError) {
        switch error {
        case .unavailable, .commitUnknown, .unusable: lose(reason: "\(error)")
        case .pollNotFound, .pollClosed, .hasBallots, .endBeforeStart, .joinCodeTaken: recover()
        }
    }
}

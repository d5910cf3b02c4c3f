import Glibc
import Polls
import Store

/// The embedded store, in a file of its own: for one gateway, as it is.
final class SQLiteDatabase: Database {
    private let store: SQLiteStore
    private let folder: String

    /// - Parameter folder: is made, and goes with it.
    init(_ world: World, skew: Int64, folder: String) throws(StoreError) {
        self.folder = folder
        guard mkdir(folder, 0o700) == 0 else { throw .unusable(reason: "no folder \(folder)") }
        store = try SQLiteStore(path: folder + "/polls.db") { world.unixMilliseconds + skew }
    }

    deinit {
        store.close()
        for name in ["", "-wal", "-shm", ".lock"] { unlink(folder + "/polls.db" + name) }
        rmdir(folder)
    }

    func makeLedger() -> any LedgerDatabase { SQLiteLedger(store) }
    func makeCatalogue() -> any CatalogueStore { store }

    func record(_ id: PollID) -> PollRecord? {
        do { return try store.read([id])[0] } catch { fatalError("SQLite: \(error)") }
    }

    func ballots(of id: PollID) -> [StoredBallot] {
        do {
            return try store.ballots(of: id, after: nil, limit: 10_000)
        } catch { fatalError("SQLite: \(error)") }
    }
}

private final class SQLiteLedger: LedgerDatabase {
    private let store: SQLiteStore

    init(_ store: SQLiteStore) { self.store = store }

    func settle(_ ballots: [Ballot]) throws(StoreError) -> Settlement {
        try store.settle(ballots)
    }

    func forgetEnd(of ballots: [Ballot]) {}
}

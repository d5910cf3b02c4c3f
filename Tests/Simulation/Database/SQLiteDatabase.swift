import Glibc
import Polls
import Store

/// The embedded store, in a file of its own: for one gateway, in whose process it lives and dies.
final class SQLiteDatabase: Database {
    private var store: SQLiteStore
    private let folder: String
    private let open: () throws(StoreError) -> SQLiteStore

    /// - Parameter folder: is made, and goes with it.
    init(_ world: World, skew: Int64, folder: String) throws(StoreError) {
        self.folder = folder
        guard mkdir(folder, 0o700) == 0 else { throw .unusable(reason: "no folder \(folder)") }
        open = { () throws(StoreError) in
            try SQLiteStore(path: folder + "/polls.db") { world.unixMilliseconds + skew }
        }
        store = try open()
    }

    deinit {
        store.close()
        for name in ["", "-wal", "-shm", ".lock"] { unlink(folder + "/polls.db" + name) }
        rmdir(folder)
    }

    var outlivesGateways: Bool { false }

    /// The next gateway finds what was committed, in the file.
    func takeDeath() {
        store.close()
        do { store = try open() } catch { fatalError("SQLite: \(error)") }
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

    func settle(_ ballots: [Ballot], until deadlines: [Int64]) throws(StoreError) -> Settlement {
        try store.settle(ballots, until: deadlines)
    }

    func forgetEnd(of ballots: [Ballot]) {}
}

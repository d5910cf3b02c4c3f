import Gateway
import Identity
import Store
import Telemetry
import Threads

/// The store as the rooms need it: one part for each of their threads.
struct Storage {
    let ledgers: [any LedgerStore]
    let catalogue: any CatalogueStore
    let exports: [any ExportStore]
    let retention: any RetentionStore
    let events: any EventStore
    /// nil where the database could not be reached; `prepare` goes on trying.
    let secrets: Secrets?
    /// Looks the database over and makes its tables. Blocks; from one thread.
    let prepare: @Sendable () throws(StoreError) -> Secrets
    let write: @Sendable (inout MetricsText) -> Void
    /// Idempotent; everything later is unavailable.
    let close: () -> Void

    /// - Throws: `StoreError.unusable` where somebody has to act; for SQLite, `.unavailable` too.
    init(_ configuration: Configuration, voterTokens: VoterTokenSigner?, log: Log)
        throws(StoreError)
    {
        switch configuration.database {
        case .sqlite(let path):
            let store = try SQLiteStore(path: path, migrates: configuration.migrates)
            if let path = store.missingLog {
                log.warning(
                    "the ballots counted last may be missing: the database was not closed, and "
                        + "its log is gone", ["log": path])
            }
            ledgers = [store]
            catalogue = store
            exports = [store, store]
            retention = store
            events = store
            try Self.setRecording(configuration, in: store, log)
            let secrets = Secrets(store.keys, voterTokens)
            self.secrets = secrets
            prepare = { secrets }
            write = { _ in }
            close = store.close
        case .postgres(let conninfo):
            let statistics = PostgresStatistics()
            write = statistics.write
            let store = try PostgresStore(conninfo: conninfo) { notice in
                statistics.count(notice)
                if case .cutOff(let count) = notice {
                    log.warning("cut off silent gateways", ["sessions": "\(count)"])
                }
            }
            let migrates = configuration.migrates
            ledgers = (0..<configuration.ledgerConnections).map { _ in store.makeLedger() }
            catalogue = store.makeCatalogue()
            exports = [store.makeExports(), store.makeExports()]
            retention = store.makeCatalogue()
            events = store.makeEvents()
            let prepare: @Sendable () throws(StoreError) -> Secrets = {
                () throws(StoreError) in
                let keys = try store.prepare(migrates: migrates)
                // Before the first ballot is taken: the broker is to hear of all of them.
                try Self.setRecording(configuration, in: store.makeEvents(), log)
                return Secrets(keys, voterTokens)
            }
            self.prepare = prepare
            close = store.close
            do throws(StoreError) {
                secrets = try prepare()
            } catch {
                guard case .unavailable(let reason) = error else { throw error }
                log.warning("no database yet; nothing is served", ["reason": reason])
                secrets = nil
            }
        }
    }

    /// Wanted here, events are kept from here on. Not wanted here, they may be elsewhere.
    private static func setRecording(
        _ configuration: Configuration, in store: any EventStore, _ log: Log
    ) throws(StoreError) {
        if configuration.events != nil {
            try store.setRecording(true)
        } else if try store.isRecording() {
            log.notice(
                "events are kept for gateways with --events; "
                    + "`pollstream migrate --events off` ends it")
        }
    }

    /// Creates or upgrades the tables, and lets go.
    /// - Parameter recording: whether events are kept from here on; nil leaves that as it is.
    static func migrate(_ database: Configuration.Database, recording: Bool?) throws(StoreError) {
        switch database {
        case .sqlite(let path):
            let store = try SQLiteStore(path: path)
            if let recording { try store.setRecording(recording) }
            store.close()
        case .postgres(let conninfo):
            let store = try PostgresStore(conninfo: conninfo)
            _ = try store.prepare(migrates: true)
            if let recording { try store.makeEvents().setRecording(recording) }
        }
    }

    /// Whether it could be used; nothing is changed.
    static func check(_ database: Configuration.Database, migrates: Bool) throws(StoreError) {
        switch database {
        case .sqlite(let path): try SQLiteStore.check(path: path, migrates: migrates)
        case .postgres(let conninfo):
            try PostgresStore(conninfo: conninfo).check(migrates: migrates)
        }
    }
}

/// Between the store and its server, since the start.
private final class PostgresStatistics: Sendable {
    private let made = Counter()
    private let failed = Counter()
    private let cutOff = Counter()

    func count(_ notice: PostgresNotice) {
        switch notice {
        case .connected: made.add()
        case .connectFailed: failed.add()
        case .cutOff(let count): cutOff.add(UInt64(count))
        }
    }

    func write(to text: inout MetricsText) {
        text.counter(
            "pollstream_store_connects_total", "Connections made to the database.", made.value)
        text.counter(
            "pollstream_store_failed_connects_total", "Attempts to connect that failed.",
            failed.value)
        text.counter(
            "pollstream_store_cut_off_sessions_total",
            "Sessions of gateways that kept ballots locked without a word, and were ended.",
            cutOff.value)
    }
}

/// Goes on asking for a database that was away at the start, once a second, until it is there.
final class Unlocking: @unchecked Sendable {
    private let storage: Storage
    private let log: Log
    private let unlock: @Sendable (Secrets) -> Void
    // Guarded by `monitor`.
    private let monitor = Monitor()
    private var isDone: Bool
    private var lastReason = ""

    init(_ storage: Storage, log: Log, unlock: @escaping @Sendable (Secrets) -> Void) {
        self.storage = storage
        self.log = log
        self.unlock = unlock
        isDone = storage.secrets != nil
    }

    var isUnlocked: Bool { monitor.withLock { isDone } }

    /// Once. The thread ends with the process, or when the database is there.
    func start() {
        if isUnlocked { return }
        _ = Thread(name: "unlocking") { self.run() }
    }

    private func run() {
        while true {
            Thread.sleep(until: Clock.monotonicNanoseconds() + 1_000_000_000)
            do throws(StoreError) {
                let secrets = try storage.prepare()
                unlock(secrets)
                monitor.withLock { isDone = true }
                log.notice("the database is there")
                return
            } catch {
                say(error)
            }
        }
    }

    /// What somebody has to do about it is said once.
    private func say(_ error: StoreError) {
        guard case .unusable(let reason) = error, reason != lastReason else { return }
        lastReason = reason
        log.error("the database cannot be used", ["reason": reason])
    }
}

extension Secrets {
    /// - Parameter voterTokens: nil: the store's own key signs.
    init(_ keys: StoreKeys, _ voterTokens: VoterTokenSigner?) {
        self.init(
            hasher: IdentityHasher(key: keys.identity),
            tokens: voterTokens ?? VoterTokenSigner(key: keys.cookie),
            seal: RelaySeal(key: keys.identity))
    }
}

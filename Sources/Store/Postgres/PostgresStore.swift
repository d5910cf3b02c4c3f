import Threads

/// What happens between a store and its server.
package enum PostgresNotice: Sendable, Equatable {
    case connected
    case connectFailed
    /// So many sessions of gateways had kept ballots locked without a word.
    case cutOff(Int)
}

/// Polls and ballots in one PostgreSQL database (15 or later), for any number of gateways.
///
/// Each `make…` gives an object with a connection of its own, for one thread at a time. Any thread
/// may make them, prepare the database, and close the store.
///
/// `@unchecked Sendable`: all is constant, and the pacer guards itself.
package final class PostgresStore: @unchecked Sendable {
    let settings: PostgresSettings
    private let target: PostgresTarget
    private let schema: PostgresSchema
    private let pacer = ReconnectPacer()
    private let notice: @Sendable (PostgresNotice) -> Void

    /// Nothing is asked of the server yet.
    /// - Parameters:
    ///   - conninfo: a URI or keywords and values, as libpq takes them.
    ///   - settings: how long a statement, a connection or a commit may take.
    ///   - notice: hears of what is worth counting; from any thread.
    /// - Throws: `.unusable` where `conninfo` cannot be understood; its text is not repeated, for it
    ///   may hold a password.
    package convenience init(
        conninfo: String, settings: PostgresSettings = PostgresSettings(),
        notice: @escaping @Sendable (PostgresNotice) -> Void = { _ in }
    ) throws(StoreError) {
        try self.init(conninfo: conninfo, settings: settings, schema: .current, notice: notice)
    }

    init(
        conninfo: String, settings: PostgresSettings, schema: PostgresSchema,
        notice: @escaping @Sendable (PostgresNotice) -> Void = { _ in }
    ) throws(StoreError) {
        target = try PostgresTarget(conninfo)
        self.settings = settings
        self.schema = schema
        self.notice = notice
    }

    /// Looks the database over, and makes or upgrades its tables.
    /// - Parameter migrates: else a database without them, or with older ones, is refused.
    /// - Returns: the secrets that all gateways share.
    /// - Throws: `.unavailable` where it may work later; `.unusable` where somebody has to act.
    package func prepare(migrates: Bool) throws(StoreError) -> StoreKeys {
        let session = makeSession()
        do throws(PostgresFailure) {
            return try session.withConnection { (connection) throws(PostgresFailure) in
                try schema.prepare(connection, migrates: migrates)
            }
        } catch {
            throw error.storeError(mayBeStored: false)
        }
    }

    /// Whether the database could be used; it is left as it is.
    /// - Throws: as `prepare`.
    package func check(migrates: Bool) throws(StoreError) {
        let session = makeSession()
        do throws(PostgresFailure) {
            try session.withConnection { (connection) throws(PostgresFailure) in
                _ = try schema.check(connection, migrates: migrates)
            }
        } catch {
            throw error.storeError(mayBeStored: false)
        }
    }

    /// A connection that makes ballots durable; for one thread.
    package func makeLedger() -> any LedgerStore {
        PostgresLedger(session: makeSession(), settings: settings, notice: notice)
    }

    /// A connection for polls and their end; for one thread.
    package func makeCatalogue() -> any CatalogueStore & RetentionStore {
        PostgresCatalogue(session: makeSession(), settings: settings)
    }

    /// A connection for long reads; for one thread.
    package func makeExports() -> any ExportStore {
        PostgresExports(session: makeSession(), settings: settings)
    }

    /// A connection that reads what other services have yet to be told; for one thread.
    package func makeEvents() -> any EventStore {
        PostgresEvents(session: makeSession(), settings: settings)
    }

    /// Nothing connects any more; what is under way ends by itself.
    package func close() { pacer.close() }

    private func makeSession() -> PostgresSession {
        PostgresSession(target: target, settings: settings, pacer: pacer, notice: notice)
    }
}

/// When an operation that may take `milliseconds` from now has to be done, in monotonic nanoseconds.
func postgresDeadline(in milliseconds: Int64) -> Int64 {
    Clock.monotonicNanoseconds() + milliseconds * 1_000_000
}

import Threads

/// One user's connection to the server: made at first use, and again after it broke. Long waits and
/// one thread at a time are the user's business; `close` is for any thread.
final class PostgresSession {
    private let target: PostgresTarget
    private let settings: PostgresSettings
    private let pacer: ReconnectPacer
    private let notice: @Sendable (PostgresNotice) -> Void
    private var connection: PostgresConnection?
    /// When it was made, monotonic nanoseconds.
    private var madeAt: Int64 = 0

    init(
        target: PostgresTarget, settings: PostgresSettings, pacer: ReconnectPacer,
        notice: @escaping @Sendable (PostgresNotice) -> Void = { _ in }
    ) {
        self.target = target
        self.settings = settings
        self.pacer = pacer
        self.notice = notice
    }

    /// Lends the connection to `body`. - Throws: `.lost` at once while it is too early to try again.
    func withConnection<R>(
        _ body: (PostgresConnection) throws(PostgresFailure) -> R
    ) throws(PostgresFailure) -> R {
        let connection =
            if let connection { connection } else { try connect() }
        defer { if connection.isBroken { giveUp() } }
        return try body(connection)
    }

    /// Gives the connection up, for instance one whose server has become read-only.
    func giveUp() {
        if connection != nil { pacer.noteBreak(after: Clock.monotonicNanoseconds() - madeAt) }
        connection = nil
    }

    private func connect() throws(PostgresFailure) -> PostgresConnection {
        try pacer.begin()
        do throws(PostgresFailure) {
            let made = try reach()
            guard made.serverVersion >= 150_000 else {
                throw .rejected(
                    .unusable(reason: "the server is older than PostgreSQL 15"))
            }
            pacer.end(succeeded: true)
            notice(.connected)
            connection = made
            madeAt = Clock.monotonicNanoseconds()
            return made
        } catch {
            pacer.end(succeeded: false)
            notice(.connectFailed)
            throw error
        }
    }

    /// Of several hosts the first that takes us, each in its own time: libpq, asked to try them all,
    /// would spend it on the first that is silent.
    private func reach() throws(PostgresFailure) -> PostgresConnection {
        for host in target.hosts.dropLast() {
            if let connection = try? connect(to: host) { return connection }
        }
        return try connect(to: target.hosts.last)
    }

    private func connect(to host: (host: String, port: String)?) throws(PostgresFailure)
        -> PostgresConnection
    {
        try PostgresConnection(
            conninfo: target.conninfo, host: host,
            deadline: postgresDeadline(in: target.connectLimit ?? settings.connectLimit))
    }
}

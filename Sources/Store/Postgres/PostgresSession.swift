import Threads

/// One user's connection to the server: made at first use, and again after it broke. Long waits and
/// one thread at a time are the user's business; `close` is for any thread.
final class PostgresSession {
    private let conninfo: String
    private let settings: PostgresSettings
    private let pacer: ReconnectPacer
    private var connection: PostgresConnection?

    init(conninfo: String, settings: PostgresSettings, pacer: ReconnectPacer) {
        self.conninfo = conninfo
        self.settings = settings
        self.pacer = pacer
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
        if connection != nil { pacer.noteBreak() }
        connection = nil
    }

    private func connect() throws(PostgresFailure) -> PostgresConnection {
        try pacer.begin()
        do throws(PostgresFailure) {
            let made = try PostgresConnection(
                conninfo: conninfo,
                deadline: Clock.monotonicNanoseconds() + settings.connectLimit * 1_000_000)
            guard made.serverVersion >= 150_000 else {
                throw .rejected(
                    .unusable(reason: "the server is older than PostgreSQL 15"))
            }
            pacer.end(succeeded: true)
            connection = made
            return made
        } catch {
            pacer.end(succeeded: false)
            throw error
        }
    }
}

/// Spreads the attempts of all sessions of one store to reach their server: after one has failed, or
/// broke soon after it was made, there is at most about one a second, whoever makes it.
final class ReconnectPacer: @unchecked Sendable {
    // Guarded by `monitor`: all that follow.
    private let monitor = Monitor()
    private var backoff = Backoff(base: .milliseconds(1_000), limit: .milliseconds(2_000))
    private var blockedUntil: Int64 = 0
    private var lastSuccess: Int64 = 0
    private var isFailing = false
    private var isTrying = false
    private var isClosed = false
    private let random: @Sendable () -> Double

    init(random: @escaping @Sendable () -> Double = { .random(in: 0...1) }) {
        self.random = random
    }

    /// Before an attempt, which `end` follows.
    func begin() throws(PostgresFailure) {
        try monitor.withLock { () throws(PostgresFailure) in
            if isClosed { throw .lost(reason: "the store is closed") }
            guard Clock.monotonicNanoseconds() >= blockedUntil, !(isFailing && isTrying) else {
                throw .lost(reason: "no connection; the next attempt is due soon")
            }
            isTrying = true
        }
    }

    func end(succeeded: Bool) {
        monitor.withLock {
            isTrying = false
            isFailing = !succeeded
            if succeeded {
                lastSuccess = Clock.monotonicNanoseconds()
            } else {
                block()
            }
        }
    }

    /// A connection broke. One that had lasted may be made again at once.
    func noteBreak() {
        monitor.withLock {
            if Clock.monotonicNanoseconds() - lastSuccess < 1_000_000_000 {
                block()
            } else {
                backoff.reset()
            }
        }
    }

    func close() { monitor.withLock { isClosed = true } }

    private func block() {
        blockedUntil = Clock.monotonicNanoseconds() + 500_000_000 + backoff.next(random: random())
    }
}

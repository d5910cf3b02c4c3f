import Threads

/// Connections that threads take turns with, first come, first served: a ledger that commits batch
/// after batch cannot keep the catalogue waiting for more than one of them, which a plain mutex
/// would allow.
///
/// `@unchecked Sendable`: `monitor` guards every property, and a connection is with one thread while
/// it is out.
final class ConnectionPool: @unchecked Sendable {
    /// Signalled whenever anything changed.
    private let monitor = Monitor()
    private let open: @Sendable () throws(StoreError) -> SQLiteConnection
    private let size: Int
    private var idle: [SQLiteConnection] = []
    private var outCount = 0
    private var isClosed = false
    /// Callers get numbers; the lowest that waits is served next.
    private var nextNumber = 0
    private var numberServed = 0

    /// - Parameter open: makes a connection, at first use and after one broke.
    init(size: Int, open: @escaping @Sendable () throws(StoreError) -> SQLiteConnection) {
        self.size = size
        self.open = open
    }

    /// Waits for a connection and lends it to `body`. - Throws: `.unavailable` once closed.
    func withConnection<R>(_ body: (SQLiteConnection) throws(StoreError) -> R) throws(StoreError)
        -> R
    {
        var connection = try take()
        defer { giveBack(connection) }
        if connection == nil { connection = try open() }
        guard let connection else { throw .unavailable(reason: "no connection") }
        return try body(connection)
    }

    /// Waits for all connections to come back, and closes them. Idempotent.
    func close() {
        monitor.lock()
        defer { monitor.unlock() }
        isClosed = true
        monitor.signalAll()
        while outCount > 0 { monitor.wait() }
        idle.removeAll()
    }

    /// - Returns: nil where one is to be opened.
    private func take() throws(StoreError) -> SQLiteConnection? {
        monitor.lock()
        defer { monitor.unlock() }
        let number = nextNumber
        nextNumber += 1
        while !isClosed, number != numberServed || outCount == size {
            monitor.wait()
        }
        guard !isClosed else { throw .unavailable(reason: "the store is closed") }
        numberServed += 1
        outCount += 1
        monitor.signalAll()
        return idle.popLast()
    }

    private func giveBack(_ connection: SQLiteConnection?) {
        monitor.lock()
        defer { monitor.unlock() }
        outCount -= 1
        if let connection, !connection.isBroken { idle.append(connection) }
        monitor.signalAll()
    }
}

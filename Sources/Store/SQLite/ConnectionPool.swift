import Glibc

/// Connections that threads take turns with, first come, first served: a ledger that commits batch
/// after batch cannot keep the catalogue waiting for more than one of them, which a plain mutex
/// would allow.
///
/// `@unchecked Sendable`: `mutex` guards every property, and a connection is with one thread while
/// it is out.
final class ConnectionPool: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let somethingChanged = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
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
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(somethingChanged, nil)
    }

    deinit {
        pthread_cond_destroy(somethingChanged)
        pthread_mutex_destroy(mutex)
        somethingChanged.deallocate()
        mutex.deallocate()
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
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        isClosed = true
        pthread_cond_broadcast(somethingChanged)
        while outCount > 0 { pthread_cond_wait(somethingChanged, mutex) }
        idle.removeAll()
    }

    /// - Returns: nil where one is to be opened.
    private func take() throws(StoreError) -> SQLiteConnection? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        let number = nextNumber
        nextNumber += 1
        while !isClosed, number != numberServed || outCount == size {
            pthread_cond_wait(somethingChanged, mutex)
        }
        guard !isClosed else { throw .unavailable(reason: "the store is closed") }
        numberServed += 1
        outCount += 1
        pthread_cond_broadcast(somethingChanged)
        return idle.popLast()
    }

    private func giveBack(_ connection: SQLiteConnection?) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        outCount -= 1
        if let connection, !connection.isBroken { idle.append(connection) }
        pthread_cond_broadcast(somethingChanged)
    }
}

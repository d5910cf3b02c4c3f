import Polls
import Store
import Telemetry
import Threads

/// Reads what the database has kept and hands it to the broker, page by page, while it is this
/// gateway's turn. On a thread of its own.
///
///     connect ─ turn? ─► read a page ─► publish it, wait for confirms ─► forget it ─┐
///                 ▲                                                                 │
///                 └─────────────────────────────────────────────────────────────────┘
///
/// Whatever fails within a page ends its connection: what was not confirmed from the front on is sent
/// again on the next, in its order.
final class EventPublisher: @unchecked Sendable {
    private enum Failure: Error {
        case broker(AMQPConnection.Failure)
        case store(StoreError)
        /// Another gateway's turn has come, for we had been silent for too long.
        case superseded
        case stopped
    }

    /// Until when there is nothing to do.
    private struct Rest {
        var duration: Duration
        /// Or until something is committed here.
        var endsWithNews = false
        /// All is told, or not by us.
        var isIdle = true
    }

    static let exchange = "poll_updates"

    private let settings: EventSettings
    private let store: any EventStore
    private let statistics = EventStatistics()
    private let brokerHealth: Health
    private let storeHealth: Health
    /// Who we are to the other gateways.
    private let node = Int64.random(in: 1...Int64.max)

    // Of the thread.
    private var connection: AMQPConnection?
    /// Of the connection.
    private var confirms = Confirms()
    private var backoff: Backoff
    /// What the broker has and the store does not yet know of.
    private var told: [RecordedEvent.ID] = []
    // Monotonic nanoseconds.
    private var leasedUntil: Int64 = 0
    private var nextRenewal: Int64 = 0
    private var nextCount: Int64 = 0

    // Guarded by `monitor`.
    private let monitor = Monitor()
    private var hasNews = false
    private var stopsAt: Int64?

    /// Nanoseconds.
    private static let countPeriod: Int64 = 1_000_000_000
    /// For one word of the broker, while there is something else to look after.
    private static let patienceMilliseconds = 100

    init(settings: EventSettings, store: any EventStore, log: Log) {
        self.settings = settings
        self.store = store
        brokerHealth = Health(of: "publishing events", log: log, now: Clock.monotonicNanoseconds)
        storeHealth = Health(of: "storage of events", log: log, now: Clock.monotonicNanoseconds)
        backoff = Backoff(base: settings.retryBase, limit: settings.retryLimit)
    }

    /// Something was committed here. From any thread; does not wait.
    func wake() {
        monitor.withLock { hasNews = true }
        monitor.signal()
    }

    /// Publishes what there is by `deadline`, in monotonic nanoseconds, and ends. From any thread.
    func stop(until deadline: Int64) {
        monitor.withLock { stopsAt = deadline }
        monitor.signal()
    }

    func write(to text: inout MetricsText) {
        statistics.write(to: &text)
        text.gauge(
            "pollstream_events_storage_up", "1 while the events reach their store.",
            storeHealth.isHealthy ? 1 : 0)
        text.counter(
            "pollstream_events_storage_losses_total", "How often the events lost their store.",
            storeHealth.lossCount)
    }

    func run() {
        while true {
            // Looked at first: what was committed before is told in a last turn.
            let isLast = isStopping
            if isLast, connection == nil { break }
            let rest: Rest
            do throws(Failure) {
                rest = try takeTurn()
            } catch {
                rest = recover(from: error)
            }
            if isLast, rest.isIdle { break }
            count()
            wait(rest)
        }
        endTurn()
        disconnect()
    }

    private func takeTurn() throws(Failure) -> Rest {
        if !told.isEmpty { try forgetTold() }
        let connection = try connected()
        // Also hears that the broker goes, and says that we are here.
        if try broker({ () throws(AMQPConnection.Failure) in
            try connection.confirm(within: 0)
        }) == .refused {
            throw .broker(AMQPConnection.Failure(reason: "it has refused a message"))
        }
        guard try hasTurn() else {
            // The store has answered too, and nothing else is asked of it here.
            storeHealth.recover()
            brokerHealth.recover()
            return Rest(duration: settings.renewal)
        }
        if isPastStop { throw .stopped }
        let page = try stored { () throws(StoreError) in
            try store.events(limit: settings.pageSize)
        }
        if !page.isEmpty { try publish(page, on: connection) }
        brokerHealth.recover()
        storeHealth.recover()
        backoff.reset()
        if page.isEmpty {
            statistics.backlog.store(0, ordering: .relaxed)
            return Rest(duration: settings.look, endsWithNews: true)
        }
        // One page after another would take a commit each from those of the ballots.
        return Rest(duration: settings.pace, isIdle: false)
    }

    // MARK: A page

    private func publish(_ page: [RecordedEvent], on connection: AMQPConnection) throws(Failure) {
        do throws(Failure) {
            for event in page {
                for message in EventMessage.messages(of: event) {
                    try keepTurn()
                    try broker { () throws(AMQPConnection.Failure) in
                        try connection.publish(message, to: Self.exchange)
                    }
                    confirms.noteSent()
                    statistics.published.add()
                    try wait(on: connection, downTo: settings.unconfirmedLimit)
                }
                confirms.end(event.id)
            }
            try wait(on: connection, downTo: 0)
        } catch {
            // This much need not be said again.
            told += confirms.takeSettled()
            disconnect()
            throw error
        }
        told += confirms.takeSettled()
        try forgetTold()
    }

    /// Until the broker owes a word about no more than `limit` messages.
    private func wait(on connection: AMQPConnection, downTo limit: Int) throws(Failure) {
        var deadline = Clock.monotonicNanoseconds() + settings.confirmLimit.nanoseconds
        while confirms.unconfirmedCount > limit {
            let word = try broker { () throws(AMQPConnection.Failure) in
                try connection.confirm(within: Self.patienceMilliseconds)
            }
            if case .taken(let tag, let andAllBefore) = word,
                let count = confirms.take(tag, andAllBefore: andAllBefore)
            {
                statistics.confirmed.add(UInt64(count))
                deadline = Clock.monotonicNanoseconds() + settings.confirmLimit.nanoseconds
                continue
            }
            guard word == nil else {
                throw .broker(AMQPConnection.Failure(reason: "it has refused a message"))
            }
            guard Clock.monotonicNanoseconds() < deadline else {
                throw .broker(AMQPConnection.Failure(reason: "it confirms nothing"))
            }
            try keepTurn()
        }
    }

    private func forgetTold() throws(Failure) {
        try stored { () throws(StoreError) in try store.forget(told) }
        told.removeAll(keepingCapacity: true)
    }

    // MARK: Whose turn it is

    private func hasTurn() throws(Failure) -> Bool {
        let now = Clock.monotonicNanoseconds()
        if now < nextRenewal, now < leasedUntil { return true }
        nextRenewal = now + settings.renewal.nanoseconds
        let isOurs: Bool
        do throws(StoreError) {
            isOurs = try store.lease(
                to: node, forMilliseconds: settings.lease.nanoseconds / 1_000_000)
        } catch {
            // It is ours for a while, whether the store can say so or not; it may have taken long.
            if Clock.monotonicNanoseconds() < leasedUntil { return true }
            throw .store(error)
        }
        // From before it was asked for: here it ends earlier than there.
        leasedUntil = isOurs ? now + settings.lease.nanoseconds : 0
        statistics.isPublishing.store(isOurs, ordering: .relaxed)
        return isOurs
    }

    private func keepTurn() throws(Failure) {
        if isPastStop { throw .stopped }
        guard try hasTurn() else { throw .superseded }
    }

    /// Another gateway may do better.
    private func endTurn() {
        if leasedUntil > 0 { try? store.endLease(of: node) }
        leasedUntil = 0
        statistics.isPublishing.store(false, ordering: .relaxed)
    }

    // MARK: Beginning anew

    private func connected() throws(Failure) -> AMQPConnection {
        if let connection { return connection }
        let made = try broker { () throws(AMQPConnection.Failure) in
            try AMQPConnection(settings.target, exchange: Self.exchange)
        }
        statistics.connects.add()
        statistics.isConnected.store(true, ordering: .relaxed)
        connection = made
        confirms = Confirms()
        return made
    }

    private func disconnect() {
        connection = nil
        statistics.isConnected.store(false, ordering: .relaxed)
    }

    private func recover(from failure: Failure) -> Rest {
        switch failure {
        case .broker(let failure):
            statistics.failures.add()
            brokerHealth.lose(reason: "\(settings.target): \(failure.reason)")
            disconnect()
            endTurn()
        case .store(let error): storeHealth.lose(reason: "\(error)")
        case .superseded, .stopped: return Rest(duration: settings.renewal)
        }
        let nanoseconds = backoff.next(random: .random(in: 0...1))
        return Rest(duration: .nanoseconds(nanoseconds))
    }

    private func broker<R>(_ body: () throws(AMQPConnection.Failure) -> R) throws(Failure) -> R {
        do throws(AMQPConnection.Failure) {
            return try body()
        } catch { throw .broker(error) }
    }

    private func stored<R>(_ body: () throws(StoreError) -> R) throws(Failure) -> R {
        do throws(StoreError) {
            return try body()
        } catch { throw .store(error) }
    }

    // MARK: Between turns

    /// What waits, for `/metrics`. Much of it takes long to count, and is counted less often.
    private func count() {
        let now = Clock.monotonicNanoseconds()
        guard now >= nextCount else { return }
        defer {
            let spent = Clock.monotonicNanoseconds() - now
            nextCount = now + max(Self.countPeriod, 20 * spent)
        }
        // Whoever cannot count cannot read either, and says so there.
        if let count = try? store.eventCount() {
            statistics.backlog.store(Int(count), ordering: .relaxed)
        }
    }

    /// Who is asked to stop does not rest.
    private func wait(_ rest: Rest) {
        let deadline = Clock.monotonicNanoseconds() + rest.duration.nanoseconds
        monitor.withLock {
            while stopsAt == nil, !(rest.endsWithNews && hasNews),
                monitor.wait(until: deadline)
            {}
            hasNews = false
        }
    }

    private var isStopping: Bool { monitor.withLock { stopsAt != nil } }

    private var isPastStop: Bool {
        monitor.withLock { stopsAt.map { Clock.monotonicNanoseconds() >= $0 } ?? false }
    }
}

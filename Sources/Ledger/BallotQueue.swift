package import Polls
import Threads

/// Ballots on their way from the loops to the ledger's thread, kept as the batches they will commit
/// in, so that a batch is taken without moving a ballot.
///
/// The bound counts every ballot that the ledger holds: those that wait here and those taken and not
/// yet released. For any thread; batches are taken by one.
package final class BallotQueue: @unchecked Sendable {
    package enum Taken: Equatable {
        /// In the order of arrival.
        case batch(WaitingBallots)
        /// Nothing came in time.
        case nothing
        /// Closed, and nothing is left.
        case closed
    }

    private let limit: Int
    private let batchLimit: Int
    // Guarded by `monitor`: all that follow.
    private let monitor = Monitor()
    private var batches: [WaitingBallots] = []
    private var held = 0
    private var closed = false
    private var lastDeadline = Int64.min

    init(limit: Int, batchLimit: Int) {
        precondition(limit > 0 && batchLimit > 0, "a queue that takes nothing")
        self.limit = limit
        self.batchLimit = batchLimit
    }

    /// Ballots that wait or are taken and not released.
    var count: Int { monitor.withLock { held } }

    var isClosed: Bool { monitor.withLock { closed } }

    /// Of the ballots that wait here; nil where none does.
    var earliestDeadline: Int64? { monitor.withLock { batches.first?.deadlines.first } }

    /// - Parameter deadline: monotonic nanoseconds. A little disorder between threads is smoothed, so
    ///   that deadlines ascend.
    /// - Returns: false where it is full or closed; the ballot was not taken.
    func enqueue(_ ballot: Ballot, deadline: Int64) -> Bool {
        monitor.lock()
        guard held < limit, !closed else {
            monitor.unlock()
            return false
        }
        held += 1
        lastDeadline = max(lastDeadline, deadline)
        let wasEmpty = batches.isEmpty
        if wasEmpty || batches[batches.count - 1].count == batchLimit {
            batches.append(WaitingBallots())
        }
        batches[batches.count - 1].append(ballot, deadline: lastDeadline)
        monitor.unlock()
        // While it is not empty, the ledger is busy and will look again by itself.
        if wasEmpty { monitor.signal() }
        return true
    }

    /// Waits for ballots, and takes all, up to the batch limit.
    /// - Parameter deadline: monotonic nanoseconds; nil waits for as long as it takes.
    package func takeAll(until deadline: Int64?) -> Taken {
        monitor.lock()
        defer { monitor.unlock() }
        while batches.isEmpty {
            if closed { return .closed }
            if !monitor.wait(until: deadline) { return .nothing }
        }
        return .batch(batches.removeFirst())
    }

    /// Room for `count` more: so many that were taken are settled.
    func release(_ count: Int) {
        monitor.lock()
        held -= count
        precondition(held >= 0, "released more ballots than were taken")
        monitor.unlock()
    }

    /// Takes out for good what waits past its deadline.
    /// - Returns: in the order of arrival.
    func removeExpired(at now: Int64) -> [Ballot] {
        monitor.lock()
        defer { monitor.unlock() }
        var expired: [Ballot] = []
        while let count = batches.first?.expiredCount(at: now, from: 0), count > 0 {
            expired += batches[0].ballots[..<count]
            batches[0].remove(0..<count)
            if batches[0].isEmpty { batches.removeFirst() }
        }
        held -= expired.count
        return expired
    }

    /// Takes no more. What waits can still be taken.
    func close() {
        monitor.withLock { closed = true }
        monitor.signal()
    }
}

/// Ballots in the order of arrival, and until when each may wait. Deadlines are monotonic
/// nanoseconds and ascend.
package struct WaitingBallots: Equatable {
    package private(set) var ballots: [Ballot] = []
    package private(set) var deadlines: [Int64] = []

    package init() {}

    var count: Int { ballots.count }
    var isEmpty: Bool { ballots.isEmpty }

    mutating func append(_ ballot: Ballot, deadline: Int64) {
        ballots.append(ballot)
        deadlines.append(deadline)
    }

    mutating func remove(_ range: Range<Int>) {
        ballots.removeSubrange(range)
        deadlines.removeSubrange(range)
    }

    /// How many, from `start` on, have waited to their deadline.
    func expiredCount(at now: Int64, from start: Int) -> Int {
        deadlines[start...].prefix { $0 <= now }.count
    }
}

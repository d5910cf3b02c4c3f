package import Polls
import Threads

/// A question, who asked, and when (monotonic nanoseconds).
package struct Asked: Sendable {
    let request: CatalogueRequest
    let ticket: Ticket
    let at: Int64

    package init(request: CatalogueRequest, ticket: Ticket, at: Int64) {
        self.request = request
        self.ticket = ticket
        self.at = at
    }
}

/// Requests on their way from the loops to the threads that answer. Bounded; for any thread.
package final class RequestQueue: @unchecked Sendable {
    package enum Taken {
        /// In the order of arrival; not empty.
        case requests([Asked])
        /// Nothing came in time.
        case nothing
        /// Closed, and nothing is left.
        case closed
    }

    private let limit: Int
    // Guarded by `monitor`: all that follow.
    private let monitor = Monitor()
    private var waiting: [Asked] = []
    private var isClosed = false

    package init(limit: Int) { self.limit = limit }

    package var count: Int { monitor.withLock { waiting.count } }

    /// What anybody can ask for over and over leaves half of the room to what changes a poll, or brings
    /// the one that a ballot is for.
    /// - Returns: false where it is full or closed.
    package func append(_ asked: Asked) -> Bool {
        let room = asked.request.isQuestion ? max(1, limit / 2) : limit
        monitor.lock()
        let isTaken = !isClosed && waiting.count < room
        if isTaken { waiting.append(asked) }
        monitor.unlock()
        if isTaken { monitor.signal() }
        return isTaken
    }

    /// Waits for requests.
    /// - Parameters:
    ///   - count: so many at most.
    ///   - deadline: monotonic nanoseconds; nil waits for as long as it takes.
    package func take(upTo count: Int, until deadline: Int64?) -> Taken {
        monitor.lock()
        defer { monitor.unlock() }
        while waiting.isEmpty {
            if isClosed { return .closed }
            if !monitor.wait(until: deadline) { return .nothing }
        }
        let taken = Array(waiting.prefix(count))
        waiting.removeFirst(taken.count)
        return .requests(taken)
    }

    /// Takes no more. What waits can still be taken.
    func close() {
        monitor.withLock { isClosed = true }
        monitor.signalAll()
    }
}

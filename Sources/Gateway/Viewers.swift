package import Polls
import Threads

/// How many watch each poll: over all loops of the process, each counting for itself, and, where
/// there is a relay, over all gateways, by numbers that lapse unless they are repeated. Thread-safe.
package final class ViewerCounts: @unchecked Sendable {
    // `monitor` guards `polls`, which are bounded by those that are watched.
    private let monitor = Monitor()
    private var polls: [PollID: Counts] = [:]

    private struct Counts {
        var total = 0
        /// By source, as long as the highest that has one.
        var bySource: [Int32] = []
        /// By gateway; a number that is not repeated lapses.
        var elsewhere: [UInt64: (count: Int32, deadline: UInt64)] = [:]

        mutating func totalEverywhere(at now: UInt64) -> Int {
            if elsewhere.isEmpty { return total }
            elsewhere = elsewhere.filter { $0.value.deadline > now }
            return elsewhere.values.reduce(total) { $0 + Int($1.count) }
        }
    }

    /// How long another gateway's number holds: it is repeated every three seconds.
    private static let leaseNanoseconds: UInt64 = 10_000_000_000
    /// Gateways whose numbers are kept for one poll.
    private static let gatewayLimit = 1_024

    package init() {}

    /// Another gateway's viewers of a poll; of one that nobody watches here, nothing is kept.
    package func lease(
        _ count: Int, of poll: PollID, to gateway: UInt64,
        at now: UInt64 = UInt64(Clock.monotonicNanoseconds())
    ) {
        monitor.withLock {
            guard let counts = polls[poll],
                counts.elsewhere.count < Self.gatewayLimit || counts.elsewhere[gateway] != nil
            else { return }
            polls[poll]!.elsewhere[gateway] =
                count > 0 ? (Int32(clamping: count), now + Self.leaseNanoseconds) : nil
        }
    }

    /// Of each poll that somebody watches, its viewers through this process.
    package var own: [(poll: PollID, count: Int)] {
        monitor.withLock { polls.map { ($0.key, $0.value.total) } }
    }

    /// - Parameters:
    ///   - count: who watch through `source` by now.
    ///   - poll: what they watch.
    ///   - source: a small number, each loop its own.
    ///   - now: monotonic nanoseconds.
    /// - Returns: how many watch in all, through whatever gateway.
    @discardableResult
    package func set(
        _ count: Int, of poll: PollID, from source: Int,
        at now: UInt64 = UInt64(Clock.monotonicNanoseconds())
    ) -> Int {
        monitor.lock()
        defer { monitor.unlock() }
        var counts = polls.removeValue(forKey: poll) ?? Counts()
        while counts.bySource.count <= source { counts.bySource.append(0) }
        counts.total += count - Int(counts.bySource[source])
        counts.bySource[source] = Int32(clamping: count)
        let total = counts.totalEverywhere(at: now)
        if counts.total > 0 { polls[poll] = counts }
        return total
    }

    package func count(
        of poll: PollID, at now: UInt64 = UInt64(Clock.monotonicNanoseconds())
    ) -> Int {
        monitor.withLock { polls[poll]?.totalEverywhere(at: now) ?? 0 }
    }

    /// Polls that somebody watches.
    package var pollCount: Int { monitor.withLock { polls.count } }
}

/// Once a second each watched board is visited: viewers are counted and told, and what nobody
/// watches any more is let go.
extension Gateway {
    static let visitNanoseconds: UInt64 = 1_000_000_000

    /// Visits the part of the watched boards that is due after `elapsedNanoseconds`.
    func visitWatchedBoards(elapsedNanoseconds: UInt64) {
        let count = boards.watched.count
        guard count > 0 else { return }
        let elapsed = min(elapsedNanoseconds, Self.visitNanoseconds)
        visitsDue += Double(count) * Double(elapsed) / Double(Self.visitNanoseconds)
        var visits = min(Int(visitsDue), count)
        visitsDue -= Double(visits)
        while visits > 0, !boards.watched.isEmpty {
            visits -= 1
            // Downwards, because a board that leaves gives its place to the last one.
            if visitCursor == 0 || visitCursor > boards.watched.count {
                visitCursor = boards.watched.count
            }
            visitCursor -= 1
            visit(boards.watched[visitCursor])
        }
    }

    private func visit(_ board: Board) {
        let subscriberCount = board.watchers.subscriberCount
        let total = shared.viewers.set(subscriberCount, of: board.id, from: Int(loopIndex))
        if total != board.watchers.announcedViewerCount, subscriberCount > 0 {
            board.publishViewers(total, with: &frames, on: loop)
        }
        if board.watchers.awaitingBallot.count > 2 * subscriberCount + 64 {
            board.watchers.sweepAwaiting()
        }
        board.watchers.awaitingBallot.forgiveRefusals()
        askForBallots(in: board)
        board.watchers.removeEmptyTopics()
        if loop.budget.isShort { board.watchers.trim() }
        boards.settle(board)
    }
}

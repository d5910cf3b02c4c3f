package import Polls
import Threads

/// How many watch each poll, over all loops of the process. Each source counts for itself: loops
/// now, and whatever brings other processes' numbers. Thread-safe.
package final class ViewerCounts: @unchecked Sendable {
    // `monitor` guards `polls`, which are bounded by those that are watched.
    private let monitor = Monitor()
    private var polls: [PollID: Counts] = [:]

    private struct Counts {
        var total = 0
        /// By source, as long as the highest that has one.
        var bySource: [Int32] = []
    }

    package init() {}

    /// - Parameter source: a small number, each loop its own.
    /// - Returns: how many watch in all.
    @discardableResult
    package func set(_ count: Int, of poll: PollID, from source: Int) -> Int {
        monitor.lock()
        defer { monitor.unlock() }
        var counts = polls.removeValue(forKey: poll) ?? Counts()
        while counts.bySource.count <= source { counts.bySource.append(0) }
        counts.total += count - Int(counts.bySource[source])
        counts.bySource[source] = Int32(clamping: count)
        if counts.total > 0 { polls[poll] = counts }
        return counts.total
    }

    package func count(of poll: PollID) -> Int {
        monitor.withLock { polls[poll]?.total ?? 0 }
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
        board.watchers.removeEmptyTopics()
        boards.settle(board)
    }
}

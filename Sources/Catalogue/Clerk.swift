package import Polls
package import Store
package import Telemetry
import Threads

/// The catalogue without its threads and its clock: answers what was taken from the queue, and opens
/// and closes polls when they are due. Used by the catalogue's thread only.
package final class Clerk {
    private let desk: Desk
    private let timetable: Timetable
    private let replies: Replies
    private let now: @Sendable () -> Int64
    /// Monotonic nanoseconds: when `makeTransitions` wants to be called, without a request as well.
    package private(set) var transitionsAt: Int64 = 0

    /// Polls read with one call of the store.
    private static let pollsPerRead = 512

    /// - Parameters:
    ///   - settings: how often to look for polls that are due.
    ///   - store: used by whoever calls.
    ///   - health: of the store.
    ///   - log: is told where no join code is free.
    ///   - now: monotonic nanoseconds.
    ///   - makeHostKey: a new key and its SHA-256.
    ///   - makeJoinCode: a candidate.
    ///   - random: 0 to 1, for the delays between attempts.
    ///   - replies: where answers go.
    ///   - happened: what was committed, before its answer.
    package init(
        settings: CatalogueSettings, store: any CatalogueStore, health: Health, log: Log,
        now: @escaping @Sendable () -> Int64,
        makeHostKey: @escaping @Sendable () -> (key: String, hash: [UInt8]),
        makeJoinCode: @escaping @Sendable () -> String, random: @escaping @Sendable () -> Double,
        replies: Replies, happened: @escaping @Sendable (PollEvent) -> Void
    ) {
        desk = Desk(
            store: store, health: health, log: log, makeHostKey: makeHostKey,
            makeJoinCode: makeJoinCode, happened: happened)
        timetable = Timetable(
            store: store, health: health, check: settings.transitionCheck, random: random,
            happened: happened)
        self.replies = replies
        self.now = now
    }

    /// Answers in their order; neighbouring reads are one call of the store. Then what is due.
    package func work(on asked: [Asked]) {
        let isChanged = answer(asked)
        // A change may have brought the next opening or closing nearer.
        if isChanged || now() >= transitionsAt {
            let nanoseconds = timetable.makeTransitions()
            transitionsAt = now() + nanoseconds
        }
    }

    /// - Returns: whether polls may have changed.
    private func answer(_ asked: [Asked]) -> Bool {
        var isChanged = false
        var reads: [(asked: Asked, ids: [PollID])] = []
        var readCount = 0
        for one in asked {
            if replies.isLate(one) { continue }
            if case .read(let ids) = one.request {
                if readCount + ids.count > Self.pollsPerRead { answer(&reads, &readCount) }
                reads.append((one, ids))
                readCount += ids.count
            } else {
                answer(&reads, &readCount)
                isChanged = isChanged || one.request.isChange
                replies.reply(to: one, desk.answer(one.request))
            }
        }
        answer(&reads, &readCount)
        return isChanged
    }

    private func answer(_ reads: inout [(asked: Asked, ids: [PollID])], _ readCount: inout Int) {
        if reads.isEmpty { return }
        for (read, answer) in zip(reads, desk.answer(reads: reads.map(\.ids))) {
            replies.reply(to: read.asked, answer)
        }
        reads.removeAll()
        readCount = 0
    }
}

/// Answers on their way back, counted and timed. For any thread.
package struct Replies: Sendable {
    let statistics = CatalogueStatistics()
    private let limit: Duration
    private let now: @Sendable () -> Int64
    private let answered: @Sendable (CatalogueReply) -> Void

    /// - Parameters:
    ///   - settings: how long an answer may take.
    ///   - now: monotonic nanoseconds.
    ///   - answered: each request's answer, once; from whichever thread gives it.
    package init(
        settings: CatalogueSettings, now: @escaping @Sendable () -> Int64,
        answered: @escaping @Sendable (CatalogueReply) -> Void
    ) {
        limit = settings.requestLimit
        self.now = now
        self.answered = answered
    }

    /// Whether it has waited too long; then it is refused.
    func isLate(_ asked: Asked) -> Bool {
        let waited = now() - asked.at
        if waited < limit.nanoseconds { return false }
        statistics.expired.add()
        reply(to: asked, .refused(.overloaded))
        return true
    }

    func reply(to asked: Asked, _ answer: CatalogueAnswer) {
        statistics.answered[CatalogueStatistics.Kind(asked.request)].add()
        statistics.latencies.observe(now() - asked.at)
        answered(CatalogueReply(ticket: asked.ticket, answer: answer))
    }
}

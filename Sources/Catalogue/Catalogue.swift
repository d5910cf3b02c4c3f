package import Polls
package import Store
package import Telemetry
import Threads

/// The polls: creates, reads, changes, opens and closes them, on a thread of its own; exports them
/// on others, so that nothing waits for a long read.
package final class Catalogue: @unchecked Sendable {
    private let settings: CatalogueSettings
    private let desk: Desk
    private let timetable: Timetable
    private let exportStores: [any ExportStore]
    private let answered: @Sendable (CatalogueReply) -> Void
    private let health: Health
    private let statistics = CatalogueStatistics()
    private let requests: RequestQueue
    private let exports: RequestQueue
    // Guarded by `monitor`: `threads`, `runningCount`. Desk and timetable belong to the catalogue's
    // thread, each store of `exportStores` to one of the others.
    private let monitor = Monitor()
    private var threads: [Thread] = []
    private var runningCount = 0

    /// Requests taken in one turn; after each, due polls are opened and closed.
    private static let requestsPerTurn = 256
    /// Polls read with one call of the store.
    private static let pollsPerRead = 512

    /// - Parameters:
    ///   - store: used by the catalogue's thread only.
    ///   - exports: one thread each, which alone uses it.
    ///   - makeHostKey: a new host key and its SHA-256; `makeJoinCode`: a candidate.
    ///   - random: 0 to 1, for the delays between attempts.
    ///   - answered: each request's answer, once; from any of the threads.
    ///   - happened: what was committed, before its answer; from the catalogue's thread.
    package init(
        settings: CatalogueSettings, store: any CatalogueStore, exports: [any ExportStore],
        log: Log, makeHostKey: @escaping @Sendable () -> (key: String, hash: [UInt8]),
        makeJoinCode: @escaping @Sendable () -> String,
        random: @escaping @Sendable () -> Double = { .random(in: 0...1) },
        answered: @escaping @Sendable (CatalogueReply) -> Void,
        happened: @escaping @Sendable (PollEvent) -> Void
    ) {
        self.settings = settings
        self.answered = answered
        exportStores = exports
        health = Health(of: "storage for polls", log: log, now: Clock.monotonicNanoseconds)
        desk = Desk(
            store: store, health: health, log: log, makeHostKey: makeHostKey,
            makeJoinCode: makeJoinCode, happened: happened)
        timetable = Timetable(
            store: store, health: health, check: settings.transitionCheck, random: random,
            happened: happened)
        requests = RequestQueue(limit: settings.waitingRequests)
        self.exports = RequestQueue(limit: settings.waitingExports)
    }

    /// Once. The threads keep the catalogue until it is drained.
    package func start() {
        monitor.lock()
        defer { monitor.unlock() }
        runningCount = 1 + exportStores.count
        threads = [Thread(name: "catalogue") { self.run() }]
        for index in exportStores.indices {
            threads.append(Thread(name: "export \(index)") { self.runExports(index) })
        }
    }

    /// From any thread; does not wait.
    /// - Returns: false where too much waits already, or while draining: there will be no answer.
    package func ask(_ request: CatalogueRequest, ticket: Ticket) -> Bool {
        let queue = request.isExport ? exports : requests
        let asked = Asked(request: request, ticket: ticket, at: Clock.monotonicNanoseconds())
        if queue.append(asked) { return true }
        statistics.refused.add()
        return false
    }

    /// Whether the store answered when it was last asked, at most `transitionCheck` ago.
    package var isHealthy: Bool { health.isHealthy }

    /// Takes no more, answers what waits, and ends the threads.
    /// - Parameter deadline: monotonic nanoseconds.
    /// - Returns: false where that was not done by `deadline`; it goes on, and may be asked again.
    package func drain(until deadline: Int64) -> Bool {
        requests.close()
        exports.close()
        monitor.lock()
        while runningCount > 0 {
            if !monitor.wait(until: deadline) {
                monitor.unlock()
                return false
            }
        }
        let ended = threads
        threads = []
        monitor.unlock()
        ended.forEach { $0.join() }
        return true
    }

    package func write(to text: inout MetricsText) {
        statistics.write(to: &text)
        text.gauge(
            "pollstream_catalogue_waiting_requests", "Requests that wait.", by: "queue",
            [("polls", Int64(requests.count)), ("exports", Int64(exports.count))])
        text.gauge(
            "pollstream_catalogue_storage_up", "1 while the catalogue reaches its store.",
            isHealthy ? 1 : 0)
    }

    // MARK: The catalogue's thread

    private func run() {
        var transitionsAt: Int64 = 0
        loop: while true {
            var isChanged = false
            switch requests.take(upTo: Self.requestsPerTurn, until: transitionsAt) {
            case .requests(let asked): isChanged = answer(asked)
            case .nothing: break
            case .closed: break loop
            }
            // A change may have brought the next opening or closing nearer.
            if isChanged || Clock.monotonicNanoseconds() >= transitionsAt {
                let nanoseconds = timetable.makeTransitions()
                transitionsAt = Clock.monotonicNanoseconds() + nanoseconds
            }
        }
        end()
    }

    /// In their order; neighbouring reads are one call of the store.
    /// - Returns: whether polls may have changed.
    private func answer(_ asked: [Asked]) -> Bool {
        var isChanged = false
        var reads: [(asked: Asked, ids: [PollID])] = []
        var readCount = 0
        for one in asked {
            if isLate(one) { continue }
            if case .read(let ids) = one.request {
                if readCount + ids.count > Self.pollsPerRead { answer(&reads, &readCount) }
                reads.append((one, ids))
                readCount += ids.count
            } else {
                answer(&reads, &readCount)
                isChanged = isChanged || one.request.isChange
                reply(to: one, desk.answer(one.request))
            }
        }
        answer(&reads, &readCount)
        return isChanged
    }

    private func answer(_ reads: inout [(asked: Asked, ids: [PollID])], _ readCount: inout Int) {
        if reads.isEmpty { return }
        for (read, answer) in zip(reads, desk.answer(reads: reads.map(\.ids))) {
            reply(to: read.asked, answer)
        }
        reads.removeAll()
        readCount = 0
    }

    // MARK: The threads of exports

    private func runExports(_ index: Int) {
        let store = exportStores[index]
        while case .requests(let asked) = exports.take(upTo: 1, until: nil) {
            for one in asked where !isLate(one) {
                reply(to: one, export(one.request, from: store))
            }
        }
        end()
    }

    private func export(_ request: CatalogueRequest, from store: any ExportStore)
        -> CatalogueAnswer
    {
        do throws(StoreError) {
            switch request {
            case .audit(let id): return .audit(try store.audit(id))
            case .ballots(let id, let key, let limit):
                return .ballots(try store.ballots(of: id, after: key, limit: limit))
            default: preconditionFailure("not an export")
            }
        } catch {
            return .refused(error.refusal(ofChange: false))
        }
    }

    // MARK: All threads

    private func isLate(_ asked: Asked) -> Bool {
        let waited = Clock.monotonicNanoseconds() - asked.at
        if waited < settings.requestLimit.nanoseconds { return false }
        statistics.expired.add()
        reply(to: asked, .refused(.overloaded))
        return true
    }

    private func reply(to asked: Asked, _ answer: CatalogueAnswer) {
        statistics.answered[CatalogueStatistics.Kind(asked.request)].add()
        statistics.latencies.observe(Clock.monotonicNanoseconds() - asked.at)
        answered(CatalogueReply(ticket: asked.ticket, answer: answer))
    }

    private func end() {
        monitor.withLock { runningCount -= 1 }
        monitor.signalAll()
    }
}

package import Polls
package import Store
package import Telemetry
import Threads

/// The polls: creates, reads, changes, opens and closes them, on a thread of its own; exports them
/// on others, so that nothing waits for a long read.
package final class Catalogue: @unchecked Sendable {
    private let clerk: Clerk
    private let replies: Replies
    private let exportStores: [any ExportStore]
    private let health: Health
    private var statistics: CatalogueStatistics { replies.statistics }
    private let requests: RequestQueue
    private let exports: RequestQueue
    // The clerk belongs to the catalogue's thread, each store of `exportStores` to one of the others.
    private let threads = ThreadGroup()

    /// Requests taken in one turn; after each, due polls are opened and closed.
    private static let requestsPerTurn = 256

    /// - Parameters:
    ///   - settings: bounds of its queues, and when to look again.
    ///   - store: used by the catalogue's thread only.
    ///   - exports: one thread each, which alone uses it.
    ///   - log: is told when the store is lost and when it is back.
    ///   - makeHostKey: a new host key and its SHA-256.
    ///   - makeJoinCode: a candidate.
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
        exportStores = exports
        health = Health(of: "storage for polls", log: log, now: Clock.monotonicNanoseconds)
        replies = Replies(
            settings: settings, now: Clock.monotonicNanoseconds, answered: answered)
        clerk = Clerk(
            settings: settings, store: store, health: health, log: log,
            now: Clock.monotonicNanoseconds, makeHostKey: makeHostKey, makeJoinCode: makeJoinCode,
            random: random, replies: replies, happened: happened)
        requests = RequestQueue(limit: settings.waitingRequests)
        self.exports = RequestQueue(limit: settings.waitingExports)
    }

    /// Once. The threads keep the catalogue until it is drained.
    package func start() {
        threads.start(name: "catalogue") { self.run() }
        for index in exportStores.indices {
            threads.start(name: "export \(index)") { self.runExports(index) }
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
        return threads.join(until: deadline)
    }

    package func write(to text: inout MetricsText) {
        statistics.write(to: &text)
        text.gauge(
            "pollstream_catalogue_waiting_requests", "Requests that wait.", by: "queue",
            [("polls", Int64(requests.count)), ("exports", Int64(exports.count))])
        text.gauge(
            "pollstream_catalogue_storage_up", "1 while the catalogue reaches its store.",
            isHealthy ? 1 : 0)
        text.counter(
            "pollstream_catalogue_storage_losses_total", "How often the catalogue lost its store.",
            health.lossCount)
    }

    // MARK: The catalogue's thread

    private func run() {
        while true {
            switch requests.take(upTo: Self.requestsPerTurn, until: clerk.transitionsAt) {
            case .requests(let asked): clerk.work(on: asked)
            case .nothing: clerk.work(on: [])
            case .closed: return
            }
        }
    }

    // MARK: The threads of exports

    private func runExports(_ index: Int) {
        let store = exportStores[index]
        while case .requests(let asked) = exports.take(upTo: 1, until: nil) {
            for one in asked where !replies.isLate(one) {
                replies.reply(to: one, export(one.request, from: store))
            }
        }
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
}

import Polls
import Telemetry

/// The catalogue's counters, since the start.
final class CatalogueStatistics: Sendable {
    enum Kind: String, CaseIterable {
        case create, read, refresh, find, list, change, open, close, delete, choices, audit, ballots
        case hasBallot = "has_ballot"

        init(_ request: CatalogueRequest) {
            self =
                switch request {
                case .create: .create
                case .read: .read
                case .refresh: .refresh
                case .find: .find
                case .list: .list
                case .change: .change
                case .open: .open
                case .close: .close
                case .delete: .delete
                case .hasBallot: .hasBallot
                case .choices: .choices
                case .audit: .audit
                case .ballots: .ballots
                }
        }
    }

    let answered = CounterFamily<Kind>()
    let refused = Counter()
    let expired = Counter()
    /// Nanoseconds.
    let latencies = Histogram(bounds: Histogram.latencyBounds)

    func write(to text: inout MetricsText) {
        text.counter(
            "pollstream_catalogue_requests_total", "Requests answered.", by: "request", answered)
        text.counter(
            "pollstream_catalogue_refused_requests_total",
            "Requests not taken: a queue was full, or draining.", refused.value)
        text.counter(
            "pollstream_catalogue_expired_requests_total",
            "Requests refused because they had waited too long.", expired.value)
        text.histogram(
            "pollstream_catalogue_request_seconds",
            "Time from question to answer, waiting included.", latencies, unitsPerBase: 1e9)
    }
}

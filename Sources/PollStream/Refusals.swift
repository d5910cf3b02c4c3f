import Gateway
import Telemetry
import Threads

/// Requests that were refused, in the log: what is our fault as a warning, and whatever else where
/// the log is to tell everything. One fault may refuse thousands of requests a second, so that only
/// some of each kind are told, and how many were not.
struct Refusals: Sendable {
    private let log: Log
    private let failed = LogPacer(linesPerSecond: 10)
    private let wrong = LogPacer(linesPerSecond: 100)

    init(log: Log) { self.log = log }

    var tellsAll: Bool { log.level == .debug }

    func tell(_ request: RefusedRequest) {
        let isFailed = request.status >= 500
        guard let untold = (isFailed ? failed : wrong).take(at: Clock.monotonicNanoseconds())
        else { return }
        let facts: KeyValuePairs = [
            "request": request.id ?? "none", "method": request.method, "route": request.route,
            "status": "\(request.status)", "code": request.code ?? "none", "untold": "\(untold)",
        ]
        if isFailed {
            log.warning("request failed", facts)
        } else {
            log.debug("request refused", facts)
        }
    }
}

import Glibc
import Reactor
import Telemetry
import Threads

/// The certificates of the public listeners, while the process runs: read again on SIGHUP, and their
/// end watched.
final class Certificates: @unchecked Sendable {
    // `monitor` guards `current`.
    private let monitor = Monitor()
    private var current: TLSContext
    private let log: Log

    init(_ context: TLSContext, log: Log) {
        current = context
        self.log = log
        warn(of: context)
    }

    /// Reads the files anew. - Parameter use: given what they hold, if all of it is good.
    func reload(_ use: (TLSContext) -> Void) throws(TLSProblems) -> String {
        let context = try TLSContext(monitor.withLock { current.files })
        warn(of: context)
        use(context)
        monitor.withLock { current = context }
        return context.summary
    }

    var summary: String { monitor.withLock { current }.summary }

    func write(to text: inout MetricsText) {
        let context = monitor.withLock { current }
        text.gauge(
            "pollstream_tls_certificate_expiry_timestamp_seconds",
            "When a certificate is no longer valid, in Unix time.",
            samples: context.files.enumerated().map { index, files in
                (
                    labels: [("number", "\(index + 1)"), ("file", files.certificatePath)],
                    value: context.validity(ofFilesAt: index).until
                )
            })
    }

    private func warn(of context: TLSContext) {
        for warning in context.warnings(atUnixSeconds: time(nil)) { log.warning(warning) }
    }
}

extension TLSContext {
    /// For the log: each certificate and its last day.
    var summary: String {
        files.enumerated().map { index, files in
            let until = validity(ofFilesAt: index).until
            return "\(files.certificatePath) until \(Self.day(ofUnixSeconds: until))"
        }.joined(separator: ", ")
    }

    /// What makes clients turn away although the files can be used.
    func warnings(atUnixSeconds now: Int) -> [String] {
        files.enumerated().compactMap { index, files in
            let (from, until) = validity(ofFilesAt: index)
            let path = files.certificatePath
            if until < now {
                return "\(path) has expired on \(Self.day(ofUnixSeconds: until)); clients refuse it"
            }
            if from > now {
                return
                    "\(path) is not valid before \(Self.day(ofUnixSeconds: from)); clients refuse it"
            }
            return nil
        }
    }

    private static func day(ofUnixSeconds seconds: Int64) -> String {
        var seconds = time_t(seconds)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { text in
            strftime(text.baseAddress, text.count, "%Y-%m-%d", &parts)
            return String(cString: text.baseAddress!)
        }
    }
}

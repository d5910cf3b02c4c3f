import Logging
import Synchronization

/// The log of transitions: one line each, for the operator. Traffic is counted in `Metrics` instead.
///
/// For any thread; does not wait for the output.
package struct Log: Sendable {
    package enum Level: String, Sendable, CaseIterable { case debug, info, notice, warning, error }
    package enum Format: String, Sendable, CaseIterable { case text, json }

    private let logger: Logger
    private let threshold: Threshold

    /// - Parameters:
    ///   - level: the least that is written.
    ///   - format: of each line.
    ///   - output: where lines go.
    ///   - now: Unix milliseconds, for the time of a line.
    package init(
        level: Level, format: Format, to output: LogOutput, now: @escaping @Sendable () -> Int64
    ) {
        threshold = Threshold(level)
        // What is too low for the threshold never comes to swift-log.
        logger = Logger(label: "pollstream") { _ in
            LineHandler(logLevel: .debug, format: format, output: output, now: now)
        }
    }

    /// What is below it is not written. The same for all copies of this log, and for any thread.
    package var level: Level {
        get { threshold.level }
        nonmutating set { threshold.level = newValue }
    }

    /// What helps who looks for a fault.
    package func debug(_ message: String, _ facts: KeyValuePairs<String, String> = [:]) {
        log(.debug, message, facts)
    }

    /// What was decided, for who wants to know why it is as it is.
    package func info(_ message: String, _ facts: KeyValuePairs<String, String> = [:]) {
        log(.info, message, facts)
    }

    /// A transition that is meant to happen: listening, recovered, draining.
    package func notice(_ message: String, _ facts: KeyValuePairs<String, String> = [:]) {
        log(.notice, message, facts)
    }

    /// It goes on, with less: storage lost, shedding.
    package func warning(_ message: String, _ facts: KeyValuePairs<String, String> = [:]) {
        log(.warning, message, facts)
    }

    /// Somebody has to act.
    package func error(_ message: String, _ facts: KeyValuePairs<String, String> = [:]) {
        log(.error, message, facts)
    }

    private func log(
        _ level: Level, _ message: String, _ facts: KeyValuePairs<String, String>
    ) {
        guard level.rank >= threshold.level.rank else { return }
        var metadata = Logger.Metadata()
        for (name, value) in facts { metadata[name] = .string(value) }
        logger.log(level: Logger.Level(level), "\(message)", metadata: metadata)
    }
}

/// The level that the copies of a log share.
private final class Threshold: Sendable {
    private let rank: Atomic<Int>

    init(_ level: Log.Level) { rank = Atomic(level.rank) }

    var level: Log.Level {
        get { Log.Level.allCases[rank.load(ordering: .relaxed)] }
        set { rank.store(newValue.rank, ordering: .relaxed) }
    }
}

extension Log.Level {
    /// The one below, which writes more; the lowest stays.
    package var moreTalkative: Self { Self.allCases[max(0, rank - 1)] }

    /// The one above, which writes less; the highest stays.
    package var lessTalkative: Self { Self.allCases[min(Self.allCases.count - 1, rank + 1)] }

    fileprivate var rank: Int { Self.allCases.firstIndex(of: self)! }
}

extension Logger.Level {
    fileprivate init(_ level: Log.Level) {
        self =
            switch level {
            case .debug: .debug
            case .info: .info
            case .notice: .notice
            case .warning: .warning
            case .error: .error
            }
    }
}

/// Gives what is logged to the output as whole lines.
private struct LineHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    let format: Log.Format
    let output: LogOutput
    let now: @Sendable () -> Int64

    init(
        logLevel: Logger.Level, format: Log.Format, output: LogOutput,
        now: @escaping @Sendable () -> Int64
    ) {
        self.logLevel = logLevel
        self.format = format
        self.output = output
        self.now = now
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var facts = metadata
        facts.merge(metadataProvider?.get() ?? [:]) { $1 }
        facts.merge(event.metadata ?? [:]) { $1 }
        if let error = event.error { facts["error"] = .string("\(error)") }
        let line = LogLine(
            at: now(), level: event.level.rawValue, message: "\(event.message)",
            facts: facts.map { ($0.key, "\($0.value)") }.sorted { $0.0 < $1.0 })
        output.write(line.bytes(as: format))
    }
}

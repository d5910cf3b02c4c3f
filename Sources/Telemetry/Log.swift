import Logging

/// The log of transitions: one line each, for the operator. Traffic is counted in `Metrics` instead.
///
/// For any thread; does not wait for the output.
package struct Log: Sendable {
    package enum Level: String, Sendable, CaseIterable { case debug, info, notice, warning, error }
    package enum Format: String, Sendable, CaseIterable { case text, json }

    private let logger: Logger

    /// - Parameter now: Unix milliseconds, for the time of a line.
    package init(
        level: Level, format: Format, to output: LogOutput, now: @escaping @Sendable () -> Int64
    ) {
        logger = Logger(label: "pollstream") { _ in
            LineHandler(
                logLevel: Logger.Level(level), format: format, output: output, now: now)
        }
    }

    /// What helps who looks for a fault.
    package func debug(_ message: String, _ facts: KeyValuePairs<String, String> = [:]) {
        log(.debug, message, facts)
    }

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
        _ level: Logger.Level, _ message: String, _ facts: KeyValuePairs<String, String>
    ) {
        guard level >= logger.logLevel else { return }
        var metadata = Logger.Metadata()
        for (name, value) in facts { metadata[name] = .string(value) }
        logger.log(level: level, "\(message)", metadata: metadata)
    }
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

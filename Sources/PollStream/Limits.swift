/// A limit of PROTOCOL's table, by the name that `--limit NAME=VALUE` takes.
struct Limit: Sendable {
    let name: String
    let standard: String
    /// From the least to the most it can be set to.
    let range: String
    /// What happens past it.
    let past: String
    let apply: @Sendable (inout Configuration, String) throws(BadValue) -> Void

    /// - Parameter text: `NAME=VALUE`
    static func apply(_ text: String, to configuration: inout Configuration) throws(BadValue) {
        guard let equals = text.firstIndex(of: "=") else {
            throw BadValue("is no NAME=VALUE; write it like body-bytes=64KiB")
        }
        let name = text[..<equals]
        guard let limit = all.first(where: { $0.name == name }) else {
            let names = all.map(\.name)
            if let meant = Spelling.nearest(to: name, among: names) {
                throw BadValue("does not name a limit; did you mean \(meant)?")
            }
            throw BadValue("does not name a limit; give one of: \(names.joined(separator: ", "))")
        }
        try limit.apply(&configuration, String(text[text.index(after: equals)...]))
    }

    static let all: [Limit] = [
        bytes("request-line-bytes", "8KiB", "414", in: 64...1 << 20, \.loop.requestLineBytes),
        bytes("head-bytes", "16KiB", "431", in: 128...1 << 20, \.loop.headBytes),
        count("header-fields", "100", "431", in: 1...100, \.loop.headerFieldCount),
        bytes("body-bytes", "64KiB", "413", in: 0...64 << 20, \.loop.bodyBytes),
        bytes("message-bytes", "64KiB", "1009", in: 128...64 << 20, \.loop.messageBytes),
        count(
            "message-fragments", "128", "1008", in: 1...1 << 20, \.loop.messageFragmentCount),
        count(
            "subscriptions", "128", "too_many_subscriptions", in: 1...4096,
            \.loop.subscriptionCount),
        bytes(
            "outbox-bytes", "256KiB", "1008", in: 16 << 10...256 << 20, \.loop.outboxBytes),
        duration("header-timeout", "10s", "408", \.loop.headerTimeoutMilliseconds),
        duration("body-timeout", "20s", "408", \.loop.bodyTimeoutMilliseconds),
        duration("idle-timeout", "60s", "close", \.loop.idleTimeoutMilliseconds),
        duration("close-timeout", "2s", "close", \.loop.closeTimeoutMilliseconds),
        duration("proxy-timeout", "3s", "close", \.loop.proxyTimeoutMilliseconds),
        duration("tls-timeout", "10s", "close", \.loop.tlsTimeoutMilliseconds),
        duration("ping-period", "25s", "close after two", \.loop.pingPeriodMilliseconds),
        Limit(
            name: "connections", standard: "what RLIMIT_NOFILE leaves", range: "1 to 10000000",
            past: "503"
        ) {
            (configuration, value) throws(BadValue) in
            configuration.connectionLimit = try Value.integer(value, in: 1...10_000_000)
        },
        Limit(
            name: "buffer-bytes", standard: "a quarter of the memory", range: "1MiB to 1048576MiB",
            past: "503, 1013"
        ) {
            (configuration, value) throws(BadValue) in
            configuration.bufferBytes = try Value.bytes(value, in: 1 << 20...1 << 40)
        },
        Limit(
            name: "connections-per-address", standard: "off", range: "1 to 10000000, or off",
            past: "429"
        ) {
            (configuration, value) throws(BadValue) in
            configuration.gateway.connectionsPerAddress =
                value == "off" ? nil : try Value.integer(value, in: 1...10_000_000)
        },
        count(
            "waiting-ballots", "65536", "503 overloaded", in: 1...16_777_216,
            \.ledger.waitingBallots),
        Limit(
            name: "commit-timeout", standard: "5s", range: "1ms to 168h", past: "504 commit_unknown"
        ) {
            (configuration, value) throws(BadValue) in
            configuration.ledger.commitLimit = .milliseconds(try Value.milliseconds(value))
        },
    ]

    private static func bytes<Field: BinaryInteger & SendableMetatype>(
        _ name: String, _ standard: String, _ past: String, in range: ClosedRange<Int>,
        _ path: any WritableKeyPath<Configuration, Field> & Sendable
    ) -> Limit {
        Limit(
            name: name, standard: standard,
            range: Value.written(bytes: range.lowerBound) + " to "
                + Value.written(bytes: range.upperBound), past: past
        ) {
            (configuration, value) throws(BadValue) in
            configuration[keyPath: path] = Field(try Value.bytes(value, in: range))
        }
    }

    private static func count<Field: BinaryInteger & SendableMetatype>(
        _ name: String, _ standard: String, _ past: String, in range: ClosedRange<Int>,
        _ path: any WritableKeyPath<Configuration, Field> & Sendable
    ) -> Limit {
        Limit(
            name: name, standard: standard, range: "\(range.lowerBound) to \(range.upperBound)",
            past: past
        ) {
            (configuration, value) throws(BadValue) in
            configuration[keyPath: path] = Field(try Value.integer(value, in: range))
        }
    }

    private static func duration(
        _ name: String, _ standard: String, _ past: String,
        _ path: any WritableKeyPath<Configuration, UInt32> & Sendable
    ) -> Limit {
        Limit(name: name, standard: standard, range: "1ms to 168h", past: past) {
            (configuration, value) throws(BadValue) in
            configuration[keyPath: path] = UInt32(try Value.milliseconds(value))
        }
    }
}

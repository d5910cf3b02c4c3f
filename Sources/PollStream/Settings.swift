import Gateway
import Identity
import Reactor
import Telemetry

/// One option: its name on the command line and in the environment, what it is for, and what it
/// sets. The one table that help, environment, checks and the reference are made from.
struct Setting: Sendable {
    let name: String
    /// The placeholder of its value.
    let value: String
    let standard: String
    let help: String
    var isRepeatable = false
    /// Takes all values given; throws for the first bad one, which it quotes.
    let apply: @Sendable (inout Configuration, [String]) throws(BadValue) -> Void

    /// `--drain-delay` is `POLLSTREAM_DRAIN_DELAY`.
    var variable: String {
        "POLLSTREAM_" + name.uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
    }

    /// Given on the command line without a value, and on then.
    var isSwitch: Bool { name == "ws-echo" }

    static func named(_ name: String) -> Setting {
        guard let setting = all.first(where: { $0.name == name }) else {
            preconditionFailure("no setting is named \(name)")
        }
        return setting
    }

    /// A setting that takes one value; of several, the last.
    /// - Parameters:
    ///   - isSecret: what was given is not repeated where it is wrong.
    ///   - field: what it sets.
    private static func single<Field>(
        _ name: String, _ value: String, standard: String, _ help: String, isSecret: Bool = false,
        _ field: any WritableKeyPath<Configuration, Field> & Sendable,
        _ read: @escaping Value.Reader<Field>
    ) -> Setting {
        Setting(name: name, value: value, standard: standard, help: help) {
            (configuration, values) throws(BadValue) in
            guard let value = values.last else { return }
            configuration[keyPath: field] =
                isSecret ? try read(value) : try quoting(value, read)
        }
    }

    private static func repeatable<Element>(
        _ name: String, _ value: String, standard: String, _ help: String,
        _ read: @escaping Value.Reader<Element>,
        _ set: @escaping @Sendable (inout Configuration, [Element]) -> Void
    ) -> Setting {
        Setting(name: name, value: value, standard: standard, help: help, isRepeatable: true) {
            (configuration, values) throws(BadValue) in
            var elements: [Element] = []
            for value in values { elements.append(try quoting(value, read)) }
            set(&configuration, elements)
        }
    }

    private static func quoting<Result>(
        _ value: String, _ read: (String) throws(BadValue) -> Result
    ) throws(BadValue) -> Result {
        do throws(BadValue) {
            return try read(value)
        } catch {
            throw BadValue("\"\(value)\" \(error.reason)")
        }
    }

    static let all: [Setting] = [
        repeatable(
            "listen", "ADDR:PORT", standard: "127.0.0.1:8080",
            "Where everything is served; port 0 picks a free one.", Value.address
        ) { $0.listen = $1 },
        single(
            "ops-listen", "ADDR:PORT|off", standard: "127.0.0.1:9090",
            "Where /livez, /readyz, /metrics and /drain are served.",
            \.operationsListen, Value.orOff(Value.address)),
        single(
            "database", "sqlite:PATH|postgres://…", standard: "sqlite:pollstream.db",
            "Where polls and ballots are kept.", isSecret: true, \.database, Value.database),
        single(
            "redis", "redis://…|unix://…|off", standard: "off",
            "Where gateways on one database tell one another what they committed.",
            isSecret: true, \.relay, Value.orOff(Value.redis)),
        single(
            "events", "amqp://…|amqps://…|off", standard: "off",
            "The broker that hears of every counted ballot and every change of a poll.",
            isSecret: true, \.events, Value.orOff(Value.events)),
        single(
            "ledger-connections", "N", standard: "1",
            "Connections to PostgreSQL that store ballots, a thread each; a poll stays on one.",
            \.ledgerConnections, Value.integer(in: 1...64)),
        single(
            "retain", "DURATION|off", standard: "everything is kept",
            "How long after its close a poll keeps its voters' names; its ballots, twice as long.",
            \.retainMilliseconds, Value.orOff(Value.longMilliseconds)),
        single(
            "migrate", "on|off", standard: "on", "Create or upgrade the schema at the start.",
            \.migrates, Value.isOn),
        single(
            "loops", "N", standard: "one per core", "Event loops, a thread each.",
            \.loopCount, Value.integer(in: 1...256)),
        single(
            "tick", "DURATION", standard: "50ms",
            "The least time between two tallies of a poll to one subscriber.",
            \.loop.tickNanoseconds
        ) { (value) throws(BadValue) in
            let milliseconds = try Value.milliseconds(value)
            // Above ten seconds nobody would call it live.
            guard milliseconds <= 10_000 else { throw BadValue("is out of range; give 1ms to 10s") }
            return UInt64(milliseconds) * 1_000_000
        },
        single(
            "services", "NAME,…", standard: "polls,votes,live",
            "What this process serves of the API; paths of the others are answered 404.",
            \.gateway.services, Value.services),
        single(
            "fan-out", "auto|send|uring", standard: "auto",
            "How a tally reaches the kernel: a call per viewer, or io_uring for many at once.",
            \.fanOut, Value.choice),
        single(
            "compress-above", "off|BYTES", standard: "1KiB",
            "Larger WebSocket messages are compressed for who takes that (permessage-deflate).",
            \.loop.compressAboveBytes
        ) { (value) throws(BadValue) in
            value == "off" ? nil : UInt32(try Value.bytes(value, in: 0...1 << 30))
        },
        single(
            "feed", "names|anonymous|off", standard: "names",
            "What /ws/global/ tells of counted votes; names are those that voters gave themselves.",
            \.gateway.feed, Value.choice),
        single(
            "feed-rate", "N", standard: "5",
            "Votes that /ws/global/ tells of in a second, at most.",
            \.gateway.feedRate, Value.integer(in: 1...1_000)),
        single(
            "voter-names", "allow|deny", standard: "allow",
            "Whether a name given by the client is an identity.",
            \.gateway.acceptsVoterNames, Value.isAllowed),
        single(
            "voter-cookies", "allow|deny", standard: "allow",
            "Whether a cookie or token of the gateway's own is an identity; deny leaves JWTs.",
            \.gateway.acceptsVoterCookies, Value.isAllowed),
        single(
            "public-url", "URL", standard: "from the Host header",
            "What absolute links begin with.", \.gateway.publicURL
        ) { (value) throws(BadValue) in
            try Value.origin(value.hasSuffix("/") ? String(value.dropLast()) : value)
        },
        repeatable(
            "tls-certificate", "FILE", standard: "none: no TLS",
            "A PEM certificate with its chain. Of several, the first that is for a client's host.",
            { $0 }
        ) { $0.certificatePaths = $1 },
        repeatable(
            "tls-key", "FILE", standard: "none: no TLS",
            "The PEM key of each --tls-certificate, in the same order.", { $0 }
        ) { $0.certificateKeyPaths = $1 },
        single(
            "hsts", "DURATION|off", standard: "off",
            "How long browsers come over TLS only, once they came (Strict-Transport-Security).",
            \.gateway.strictTransportSeconds
        ) { (value) throws(BadValue) in
            value == "off" ? nil : try Value.longMilliseconds(value) / 1_000
        },
        single(
            "proxy-protocol", "off|optional|required", standard: "off",
            "Whether a load balancer says who its clients are (PROXY protocol 1 and 2).",
            \.loop.proxyMode
        ) { (value) throws(BadValue) in
            let proxy: Configuration.Proxy = try Value.choice(value)
            return switch proxy {
            case .off: .off
            case .optional: .optional
            case .required: .required
            }
        },
        repeatable(
            "trusted-proxy", "CIDR", standard: "127.0.0.0/8 and ::1",
            "Whose PROXY headers are believed and, where this is given, whose X-Forwarded-For.",
            Value.network
        ) {
            $0.loop.trustedProxies = $1
            $0.gateway.trustedProxies = $1
        },
        repeatable(
            "allowed-origin", "ORIGIN",
            standard: "any over HTTP without credentials, its own for WebSockets",
            "Where browsers may come from, for HTTP with credentials and for WebSockets.",
            Value.origin
        ) { $0.gateway.allowedOrigins = $1 },
        single(
            "admin-key", "psa_KEY", standard: "none: anybody creates polls",
            "The key that creating polls takes. Better given as POLLSTREAM_ADMIN_KEY.",
            isSecret: true, \.gateway.adminKeyHash
        ) { (value) throws(BadValue) in
            guard value.hasPrefix(AdminKey.prefix), value.utf8.count >= 20 else {
                throw BadValue("is not a key; give psa_ and at least 16 characters")
            }
            return value.hashed(by: AdminKey.hash(of:))
        },
        single(
            "voter-key", "FILE", standard: "a key in the database",
            "Keys of the voter cookie, one a line; the first signs. Read again at SIGHUP.",
            \.keys.voterFile, Value.voterKeys),
        repeatable(
            "jwt-key", "FILE", standard: "none: no JWT is valid",
            "What JWTs are signed with: PEM public keys, a JWKS, a secret. Read again at SIGHUP.",
            Value.jwtKeys
        ) { $0.keys.jwtFiles = $1 },
        single(
            "jwt-issuer", "TEXT", standard: "any issuer", "Whom JWTs have to come from (iss).",
            \.keys.issuer, Value.text),
        single(
            "jwt-audience", "TEXT", standard: "only JWTs without aud",
            "Whom JWTs have to be for (aud).", \.keys.audience, Value.text),
        single(
            "drain", "DURATION", standard: "30s",
            "The longest time that closing everything may take.", \.drainMilliseconds
        ) { (value) throws(BadValue) in try Value.milliseconds(value) },
        single(
            "drain-delay", "DURATION", standard: "0s",
            "How long all is served after /readyz began to say 503; --drain counts from then.",
            \.drainDelayMilliseconds
        ) { (value) throws(BadValue) in try Value.milliseconds(value, minimum: 0) },
        rate("rate-polls", "Polls created by one client.", \.gateway.ratePolls),
        rate("rate-votes", "Ballots of one client.", \.gateway.rateVotes),
        rate("rate-messages", "WebSocket messages of one client.", \.gateway.rateMessages),
        rate(
            "rate-handshakes", "Live connections that one client opens.",
            \.gateway.rateHandshakes),
        single(
            "address-share", "N", standard: "1",
            "How many clients' rates one address has: an audience may share a router's.",
            \.gateway.addressShare, Value.integer(in: 1...1_000_000)),
        Setting(
            name: "limit", value: "NAME=VALUE", standard: "see below",
            help: "Sets a limit; names are listed below.", isRepeatable: true
        ) { (configuration, values) throws(BadValue) in
            for value in values {
                try quoting(value) { (value) throws(BadValue) in
                    try Limit.apply(value, to: &configuration)
                }
            }
        },
        single(
            "log-level", "debug|info|notice|warning|error", standard: "info",
            "The least important lines that are logged.", \.logLevel, Value.choice),
        single(
            "log-format", "text|json", standard: "text", "How log lines are written.",
            \.logFormat, Value.choice),
        single(
            "ws-echo", "on|off", standard: "off", "Adds /ws/echo/, for conformance suites.",
            \.gateway.servesEcho, Value.isOn),
    ]

    private static func rate(
        _ name: String, _ help: String,
        _ field: any WritableKeyPath<Configuration, Rate?> & Sendable
    ) -> Setting {
        single(name, "N/s|N/min|off", standard: "off", help, field, Value.rate)
    }
}

extension Value {
    typealias Reader<Field> = @Sendable (String) throws(BadValue) -> Field

    static func orOff<Field>(_ read: @escaping Reader<Field>) -> Reader<Field?> {
        { (text) throws(BadValue) in text == "off" ? nil : try read(text) }
    }

    static func integer(in range: ClosedRange<Int>) -> Reader<Int> {
        { (text) throws(BadValue) in try integer(text, in: range) }
    }

    static func isOn(_ text: String) throws(BadValue) -> Bool {
        let choice: Configuration.OnOff = try choice(text)
        return choice == .on
    }

    static func isAllowed(_ text: String) throws(BadValue) -> Bool {
        let choice: Configuration.Switch = try choice(text)
        return choice == .allow
    }

    static func network(_ text: String) throws(BadValue) -> Network {
        guard let network = Network(text) else {
            throw BadValue("is not a network; write it like 10.0.0.0/8 or fd00::/8")
        }
        return network
    }

    /// `5/s`, `100/min`, `off`.
    static func rate(_ text: String) throws(BadValue) -> Rate? {
        if text == "off" { return nil }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let periods = ["s": 1_000, "min": 60_000]
        guard parts.count == 2, let period = periods[String(parts[1])],
            let count = try? integer(String(parts[0]), in: 1...1_000_000)
        else { throw BadValue("is not a rate; write it like 5/s, 100/min or off") }
        return Rate(count: count, perMilliseconds: period)
    }
}

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
    /// - Parameter isSecret: what was given is not repeated where it is wrong.
    private static func single(
        _ name: String, _ value: String, standard: String, _ help: String, isSecret: Bool = false,
        _ apply: @escaping @Sendable (inout Configuration, String) throws(BadValue) -> Void
    ) -> Setting {
        Setting(name: name, value: value, standard: standard, help: help) {
            (configuration, values) throws(BadValue) in
            guard let value = values.last else { return }
            do throws(BadValue) {
                try apply(&configuration, value)
            } catch {
                throw isSecret ? error : BadValue("\"\(value)\" \(error.reason)")
            }
        }
    }

    private static func repeatable(
        _ name: String, _ value: String, standard: String, _ help: String,
        _ apply: @escaping @Sendable (inout Configuration, String, Bool) throws(BadValue) -> Void
    ) -> Setting {
        Setting(name: name, value: value, standard: standard, help: help, isRepeatable: true) {
            (configuration, values) throws(BadValue) in
            for (index, value) in values.enumerated() {
                do throws(BadValue) {
                    try apply(&configuration, value, index == 0)
                } catch {
                    throw BadValue("\"\(value)\" \(error.reason)")
                }
            }
        }
    }

    static let all: [Setting] = [
        repeatable(
            "listen", "ADDR:PORT", standard: "127.0.0.1:8080",
            "Where everything is served; port 0 picks a free one."
        ) { (configuration, value, isFirst) throws(BadValue) in
            if isFirst { configuration.listen = [] }
            configuration.listen.append(try Value.address(value))
        },
        single(
            "ops-listen", "ADDR:PORT|off", standard: "127.0.0.1:9090",
            "Where /livez, /readyz, /metrics and /drain are served."
        ) { (configuration, value) throws(BadValue) in
            configuration.operationsListen = value == "off" ? nil : try Value.address(value)
        },
        single(
            "database", "sqlite:PATH|postgres://…", standard: "sqlite:pollstream.db",
            "Where polls and ballots are kept.", isSecret: true
        ) { (configuration, value) throws(BadValue) in
            configuration.database = try Value.database(value)
        },
        single(
            "redis", "redis://…|unix://…|off", standard: "off",
            "Where gateways on one database tell one another what they committed.", isSecret: true
        ) { (configuration, value) throws(BadValue) in
            configuration.relay = value == "off" ? nil : try Value.redis(value)
        },
        single(
            "events", "amqp://…|amqps://…|off", standard: "off",
            "The broker that hears of every counted ballot and every change of a poll.",
            isSecret: true
        ) { (configuration, value) throws(BadValue) in
            configuration.events = value == "off" ? nil : try Value.events(value)
        },
        single(
            "ledger-connections", "N", standard: "1",
            "Connections to PostgreSQL that store ballots, a thread each; a poll stays on one."
        ) { (configuration, value) throws(BadValue) in
            configuration.ledgerConnections = try Value.integer(value, in: 1...64)
        },
        single(
            "retain", "DURATION|off", standard: "everything is kept",
            "How long after its close a poll keeps its voters' names; its ballots, twice as long."
        ) { (configuration, value) throws(BadValue) in
            configuration.retainMilliseconds =
                value == "off" ? nil : try Value.longMilliseconds(value)
        },
        single(
            "migrate", "on|off", standard: "on", "Create or upgrade the schema at the start."
        ) { (configuration, value) throws(BadValue) in
            configuration.migrates = try Value.choice(value, of: Configuration.OnOff.self) == .on
        },
        single("loops", "N", standard: "one per core", "Event loops, a thread each.") {
            (configuration, value) throws(BadValue) in
            configuration.loopCount = try Value.integer(value, in: 1...256)
        },
        single(
            "tick", "DURATION", standard: "50ms",
            "The least time between two tallies of a poll to one subscriber."
        ) { (configuration, value) throws(BadValue) in
            let milliseconds = try Value.milliseconds(value)
            // Above ten seconds nobody would call it live.
            guard milliseconds <= 10_000 else { throw BadValue("is out of range; give 1ms to 10s") }
            configuration.loop.tickNanoseconds = UInt64(milliseconds) * 1_000_000
        },
        single(
            "services", "NAME,…", standard: "polls,votes,live",
            "What this process serves of the API; paths of the others are answered 404."
        ) { (configuration, value) throws(BadValue) in
            configuration.gateway.services = try Value.services(value)
        },
        single(
            "fan-out", "auto|send|uring", standard: "auto",
            "How a tally reaches the kernel: a call per viewer, or io_uring for many at once."
        ) { (configuration, value) throws(BadValue) in
            configuration.fanOut = try Value.choice(value, of: FanOut.self)
        },
        single(
            "compress-above", "off|BYTES", standard: "1KiB",
            "Larger WebSocket messages are compressed for who takes that (permessage-deflate)."
        ) { (configuration, value) throws(BadValue) in
            configuration.loop.compressAboveBytes =
                value == "off" ? nil : UInt32(try Value.bytes(value, in: 0...1 << 30))
        },
        single(
            "feed", "names|anonymous|off", standard: "names",
            "What /ws/global/ tells of counted votes; names are those that voters gave themselves."
        ) { (configuration, value) throws(BadValue) in
            configuration.gateway.feed = try Value.choice(value, of: Feed.self)
        },
        single(
            "feed-rate", "N", standard: "5", "Votes that /ws/global/ tells of in a second, at most."
        ) { (configuration, value) throws(BadValue) in
            configuration.gateway.feedRate = try Value.integer(value, in: 1...1_000)
        },
        single(
            "voter-names", "allow|deny", standard: "allow",
            "Whether a name given by the client is an identity."
        ) { (configuration, value) throws(BadValue) in
            configuration.gateway.acceptsVoterNames =
                try Value.choice(value, of: Configuration.Switch.self) == .allow
        },
        single(
            "voter-cookies", "allow|deny", standard: "allow",
            "Whether a cookie or token of the gateway's own is an identity; deny leaves JWTs."
        ) { (configuration, value) throws(BadValue) in
            configuration.gateway.acceptsVoterCookies =
                try Value.choice(value, of: Configuration.Switch.self) == .allow
        },
        single(
            "public-url", "URL", standard: "from the Host header",
            "What absolute links begin with."
        ) { (configuration, value) throws(BadValue) in
            configuration.gateway.publicURL = try Value.origin(
                value.hasSuffix("/") ? String(value.dropLast()) : value)
        },
        repeatable(
            "tls-certificate", "FILE", standard: "none: no TLS",
            "A PEM certificate with its chain. Of several, the first that is for a client's host."
        ) { (configuration, value, isFirst) throws(BadValue) in
            if isFirst { configuration.certificatePaths = [] }
            configuration.certificatePaths.append(value)
        },
        repeatable(
            "tls-key", "FILE", standard: "none: no TLS",
            "The PEM key of each --tls-certificate, in the same order."
        ) { (configuration, value, isFirst) throws(BadValue) in
            if isFirst { configuration.certificateKeyPaths = [] }
            configuration.certificateKeyPaths.append(value)
        },
        single(
            "hsts", "DURATION|off", standard: "off",
            "How long browsers come over TLS only, once they came (Strict-Transport-Security)."
        ) { (configuration, value) throws(BadValue) in
            configuration.gateway.strictTransportSeconds =
                value == "off" ? nil : try Value.longMilliseconds(value) / 1_000
        },
        single(
            "proxy-protocol", "off|optional|required", standard: "off",
            "Whether a load balancer says who its clients are (PROXY protocol 1 and 2)."
        ) { (configuration, value) throws(BadValue) in
            configuration.loop.proxyMode =
                switch try Value.choice(value, of: Configuration.Proxy.self) {
                case .off: .off
                case .optional: .optional
                case .required: .required
                }
        },
        repeatable(
            "trusted-proxy", "CIDR", standard: "127.0.0.0/8 and ::1",
            "Whose PROXY headers are believed and, where this is given, whose X-Forwarded-For."
        ) { (configuration, value, isFirst) throws(BadValue) in
            guard let network = Network(value) else {
                throw BadValue("is not a network; write it like 10.0.0.0/8 or fd00::/8")
            }
            if isFirst { configuration.loop.trustedProxies = [] }
            configuration.loop.trustedProxies.append(network)
            configuration.gateway.trustedProxies = configuration.loop.trustedProxies
        },
        repeatable(
            "allowed-origin", "ORIGIN",
            standard: "any over HTTP without credentials, its own for WebSockets",
            "Where browsers may come from, for HTTP with credentials and for WebSockets."
        ) { (configuration, value, isFirst) throws(BadValue) in
            let earlier = isFirst ? [] : configuration.gateway.allowedOrigins ?? []
            configuration.gateway.allowedOrigins = earlier + [try Value.origin(value)]
        },
        single(
            "admin-key", "psa_KEY", standard: "none: anybody creates polls",
            "The key that creating polls takes. Better given as POLLSTREAM_ADMIN_KEY.",
            isSecret: true
        ) { (configuration, value) throws(BadValue) in
            guard value.hasPrefix(AdminKey.prefix), value.utf8.count >= 20 else {
                throw BadValue("is not a key; give psa_ and at least 16 characters")
            }
            configuration.gateway.adminKeyHash = value.hashed(by: AdminKey.hash(of:))
        },
        single(
            "voter-key", "FILE", standard: "a key in the database",
            "Keys of the voter cookie, one a line; the first signs. Read again at SIGHUP."
        ) { (configuration, value) throws(BadValue) in
            configuration.keys.voterFile = try Value.voterKeys(value)
        },
        repeatable(
            "jwt-key", "FILE", standard: "none: no JWT is valid",
            "What JWTs are signed with: PEM public keys, a JWKS, a secret. Read again at SIGHUP."
        ) { (configuration, value, isFirst) throws(BadValue) in
            if isFirst { configuration.keys.jwtFiles = [] }
            configuration.keys.jwtFiles.append(try Value.jwtKeys(value))
        },
        single(
            "jwt-issuer", "TEXT", standard: "any issuer", "Whom JWTs have to come from (iss)."
        ) { (configuration, value) throws(BadValue) in
            configuration.keys.issuer = try Value.text(value)
        },
        single(
            "jwt-audience", "TEXT", standard: "only JWTs without aud",
            "Whom JWTs have to be for (aud)."
        ) { (configuration, value) throws(BadValue) in
            configuration.keys.audience = try Value.text(value)
        },
        single(
            "drain", "DURATION", standard: "30s",
            "The longest time that closing everything may take."
        ) {
            (configuration, value) throws(BadValue) in
            configuration.drainMilliseconds = try Value.milliseconds(value)
        },
        single(
            "drain-delay", "DURATION", standard: "0s",
            "How long all is served after /readyz began to say 503; --drain counts from then."
        ) { (configuration, value) throws(BadValue) in
            configuration.drainDelayMilliseconds = try Value.milliseconds(value, minimum: 0)
        },
        rate("rate-polls", "Polls created by one client.", \.ratePolls),
        rate("rate-votes", "Ballots of one client.", \.rateVotes),
        rate("rate-messages", "WebSocket messages of one client.", \.rateMessages),
        rate("rate-handshakes", "Live connections that one client opens.", \.rateHandshakes),
        single(
            "address-share", "N", standard: "1",
            "How many clients' rates one address has: an audience may share a router's."
        ) { (configuration, value) throws(BadValue) in
            configuration.gateway.addressShare = try Value.integer(value, in: 1...1_000_000)
        },
        repeatable(
            "limit", "NAME=VALUE", standard: "see below", "Sets a limit; names are listed below."
        ) { (configuration, value, _) throws(BadValue) in
            try Limit.apply(value, to: &configuration)
        },
        single(
            "log-level", "debug|info|notice|warning|error", standard: "info",
            "The least important lines that are logged."
        ) { (configuration, value) throws(BadValue) in
            configuration.logLevel = try Value.choice(value, of: Log.Level.self)
        },
        single("log-format", "text|json", standard: "text", "How log lines are written.") {
            (configuration, value) throws(BadValue) in
            configuration.logFormat = try Value.choice(value, of: Log.Format.self)
        },
        single(
            "ws-echo", "on|off", standard: "off",
            "Adds /ws/echo/, for conformance suites."
        ) { (configuration, value) throws(BadValue) in
            configuration.gateway.servesEcho =
                try Value.choice(value, of: Configuration.OnOff.self) == .on
        },
    ]

    private static func rate(
        _ name: String, _ help: String,
        _ path: any WritableKeyPath<GatewaySettings, Rate?> & Sendable
    ) -> Setting {
        single(name, "N/s|N/min|off", standard: "off", help) {
            (configuration, value) throws(BadValue) in
            configuration.gateway[keyPath: path] = try Value.rate(value)
        }
    }
}

extension Value {
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

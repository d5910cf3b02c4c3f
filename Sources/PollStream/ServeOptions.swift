import ArgumentParser

/// The settings of the table as options of a command: a property for each, which ArgumentParser needs.
struct ServeOptions: ParsableArguments {
    @Option("listen") var listen: [String]
    @Option("ops-listen") var opsListen: String?
    @Option("database") var database: String?
    @Option("migrate") var migrate: String?
    @Option("redis") var redis: String?
    @Option("events") var events: String?
    @Option("ledger-connections") var ledgerConnections: String?
    @Option("retain") var retain: String?
    @Option("loops") var loops: String?
    @Option("tick") var tick: String?
    @Option("services") var services: String?
    @Option("fan-out") var fanOut: String?
    @Option("compress-above") var compressAbove: String?
    @Option("feed") var feed: String?
    @Option("feed-rate") var feedRate: String?
    @Option("voter-names") var voterNames: String?
    @Option("voter-cookies") var voterCookies: String?
    @Option("public-url") var publicURL: String?
    @Option("tls-certificate") var tlsCertificate: [String]
    @Option("tls-key") var tlsKey: [String]
    @Option("hsts") var hsts: String?
    @Option("proxy-protocol") var proxyProtocol: String?
    @Option("trusted-proxy") var trustedProxy: [String]
    @Option("allowed-origin") var allowedOrigin: [String]
    @Option("admin-key") var adminKey: String?
    @Option("voter-key") var voterKey: String?
    @Option("jwt-key") var jwtKey: [String]
    @Option("jwt-issuer") var jwtIssuer: String?
    @Option("jwt-audience") var jwtAudience: String?
    @Option("drain") var drain: String?
    @Option("drain-delay") var drainDelay: String?
    @Option("rate-polls") var ratePolls: String?
    @Option("rate-votes") var rateVotes: String?
    @Option("rate-messages") var rateMessages: String?
    @Option("rate-handshakes") var rateHandshakes: String?
    @Option("address-share") var addressShare: String?
    @Option("limit") var limit: [String]
    @Option("log-level") var logLevel: String?
    @Option("log-format") var logFormat: String?
    @Flag(help: Setting.named("ws-echo").argumentHelp) var wsEcho = false

    /// As typed, by the name of the setting; empty where it was not given.
    var arguments: [String: [String]] {
        var arguments: [String: [String]] = [
            "listen": listen, "allowed-origin": allowedOrigin, "limit": limit,
            "trusted-proxy": trustedProxy, "tls-certificate": tlsCertificate, "tls-key": tlsKey,
            "jwt-key": jwtKey,
            "ws-echo": wsEcho ? ["on"] : [],
        ]
        for (name, value) in [
            "ops-listen": opsListen, "database": database, "migrate": migrate,
            "redis": redis, "events": events, "ledger-connections": ledgerConnections,
            "retain": retain,
            "proxy-protocol": proxyProtocol, "loops": loops,
            "tick": tick, "fan-out": fanOut, "compress-above": compressAbove,
            "feed": feed, "feed-rate": feedRate, "services": services,
            "voter-names": voterNames, "voter-cookies": voterCookies,
            "public-url": publicURL, "hsts": hsts,
            "admin-key": adminKey, "voter-key": voterKey, "jwt-issuer": jwtIssuer,
            "jwt-audience": jwtAudience, "drain": drain, "drain-delay": drainDelay,
            "rate-polls": ratePolls, "rate-votes": rateVotes, "rate-messages": rateMessages,
            "rate-handshakes": rateHandshakes, "address-share": addressShare, "log-level": logLevel,
            "log-format": logFormat,
        ] {
            arguments[name] = value.map { [$0] } ?? []
        }
        return arguments
    }

    func configuration() throws(ExitCode) -> Configuration { try loadConfiguration(arguments) }
}

extension Option {
    /// The setting of that name, given once.
    init(_ name: String) where Value == String? {
        let setting = Setting.named(name)
        self.init(
            name: .customLong(name), parsing: .unconditional, help: setting.argumentHelp,
            completion: setting.completion)
    }

    /// The setting of that name, as often as it is given.
    init(_ name: String) where Value == [String] {
        let setting = Setting.named(name)
        self.init(
            wrappedValue: [], name: .customLong(name), parsing: .unconditionalSingleValue,
            help: setting.argumentHelp, completion: setting.completion)
    }
}

extension Setting {
    var argumentHelp: ArgumentHelp {
        ArgumentHelp("\(help) (default: \(standard))", valueName: value)
    }

    /// Words to choose from; what stands for a value of one's own is none.
    var words: [String]? {
        let words = value.split(separator: "|").filter { $0.allSatisfy(\.isLowercase) }
        return words.isEmpty ? nil : words.map(String.init)
    }

    var completion: CompletionKind? {
        value == "FILE" ? .file() : words.map(CompletionKind.list)
    }

    static var discussion: String {
        let limits = Limit.all.map { limit in
            let name = limit.name.padded(to: 26)
            return "  \(name)\(limit.standard.padded(to: 26))past it: \(limit.past)"
        }
        return """
            Every option is also an environment variable (--drain-delay: \
            \(named("drain-delay").variable)); the command line wins. Repeatable ones take a \
            comma-separated list there.

            Limits, for --limit NAME=VALUE:
            \(limits.joined(separator: "\n"))
            """
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(1, width - count))
    }
}

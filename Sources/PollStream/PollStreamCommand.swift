import ArgumentParser
import Glibc

@main
struct PollStreamCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pollstream",
        abstract: "A realtime polling gateway: votes in, live tallies out, one binary.",
        version: "pollstream \(Version.current)",
        subcommands: [Serve.self, Migrate.self, Check.self])
}

enum Version {
    static let current = "0.1.0"
}

/// How a run ends, as PROTOCOL promises; 64 for a usage error is ArgumentParser's.
enum ExitStatus {
    static let configurationError = ExitCode(1)
    static let dependencyUnusable = ExitCode(2)
}

struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serves everything, in the foreground, until SIGTERM.",
        discussion: Setting.discussion)

    @OptionGroup var options: ServeOptions

    func run() throws {
        let configuration = try options.configuration()
        let server: Server
        do {
            server = try Server(configuration)
        } catch {
            Host.say("pollstream: \(error)")
            throw ExitStatus.dependencyUnusable
        }
        server.serve()
    }
}

struct Migrate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Creates or upgrades the schema of a database.")

    @Option(parsing: .unconditional, help: Setting.named("database").argumentHelp) var database:
        String?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Begins to keep events for it; `off` ends it and forgets what is kept. Not from the "
                + "environment.",
            valueName: Setting.named("events").value)) var events: String?

    func run() throws {
        let configuration = try loadConfiguration([
            "database": database.map { [$0] } ?? [], "events": events.map { [$0] } ?? [],
        ])
        do {
            // Who has set a variable for `serve` does not ask to forget anything.
            try Storage.migrate(
                configuration.database,
                recording: events == nil ? nil : configuration.events != nil)
        } catch {
            Host.say("pollstream: \(error)")
            throw ExitStatus.dependencyUnusable
        }
        Host.say("the schema is up to date")
    }
}

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Validates configuration and dependencies, and says all that is wrong.")

    @OptionGroup var options: ServeOptions

    func run() throws {
        let configuration = try options.configuration()
        for warning in configuration.loop.tls?.warnings(atUnixSeconds: time(nil)) ?? [] {
            Host.say("warning: \(warning)")
        }
        let problems = Server.problems(with: configuration)
        for problem in problems { Host.say(problem) }
        if !problems.isEmpty { throw ExitStatus.configurationError }
        Host.say("everything is in order")
    }
}

struct ServeOptions: ParsableArguments {
    @Option(parsing: .unconditionalSingleValue, help: Setting.named("listen").argumentHelp)
    var listen: [String] = []
    @Option(parsing: .unconditional, help: Setting.named("ops-listen").argumentHelp) var opsListen:
        String?
    @Option(parsing: .unconditional, help: Setting.named("database").argumentHelp) var database:
        String?
    @Option(parsing: .unconditional, help: Setting.named("migrate").argumentHelp) var migrate:
        String?
    @Option(parsing: .unconditional, help: Setting.named("redis").argumentHelp) var redis: String?
    @Option(parsing: .unconditional, help: Setting.named("events").argumentHelp) var events: String?
    @Option(
        name: .customLong("ledger-connections"), parsing: .unconditional,
        help: Setting.named("ledger-connections").argumentHelp)
    var ledgerConnections: String?
    @Option(parsing: .unconditional, help: Setting.named("retain").argumentHelp) var retain: String?
    @Option(parsing: .unconditional, help: Setting.named("loops").argumentHelp) var loops: String?
    @Option(parsing: .unconditional, help: Setting.named("tick").argumentHelp) var tick: String?
    @Option(parsing: .unconditional, help: Setting.named("services").argumentHelp) var services:
        String?
    @Option(parsing: .unconditional, help: Setting.named("fan-out").argumentHelp) var fanOut:
        String?
    @Option(
        name: .customLong("compress-above"), parsing: .unconditional,
        help: Setting.named("compress-above").argumentHelp)
    var compressAbove: String?
    @Option(parsing: .unconditional, help: Setting.named("feed").argumentHelp) var feed: String?
    @Option(
        name: .customLong("feed-rate"), parsing: .unconditional,
        help: Setting.named("feed-rate").argumentHelp)
    var feedRate: String?
    @Option(parsing: .unconditional, help: Setting.named("voter-names").argumentHelp)
    var voterNames: String?
    @Option(
        name: .customLong("public-url"), parsing: .unconditional,
        help: Setting.named("public-url").argumentHelp)
    var publicURL: String?
    @Option(
        name: .customLong("tls-certificate"), parsing: .unconditionalSingleValue,
        help: Setting.named("tls-certificate").argumentHelp)
    var tlsCertificate: [String] = []
    @Option(
        name: .customLong("tls-key"), parsing: .unconditionalSingleValue,
        help: Setting.named("tls-key").argumentHelp)
    var tlsKey: [String] = []
    @Option(parsing: .unconditional, help: Setting.named("hsts").argumentHelp) var hsts: String?
    @Option(
        name: .customLong("proxy-protocol"), parsing: .unconditional,
        help: Setting.named("proxy-protocol").argumentHelp)
    var proxyProtocol: String?
    @Option(
        name: .customLong("trusted-proxy"), parsing: .unconditionalSingleValue,
        help: Setting.named("trusted-proxy").argumentHelp)
    var trustedProxy: [String] = []
    @Option(parsing: .unconditionalSingleValue, help: Setting.named("allowed-origin").argumentHelp)
    var allowedOrigin: [String] = []
    @Option(parsing: .unconditional, help: Setting.named("admin-key").argumentHelp) var adminKey:
        String?
    @Option(
        name: .customLong("voter-key"), parsing: .unconditional,
        help: Setting.named("voter-key").argumentHelp)
    var voterKey: String?
    @Option(
        name: .customLong("jwt-key"), parsing: .unconditionalSingleValue,
        help: Setting.named("jwt-key").argumentHelp)
    var jwtKey: [String] = []
    @Option(
        name: .customLong("jwt-issuer"), parsing: .unconditional,
        help: Setting.named("jwt-issuer").argumentHelp)
    var jwtIssuer: String?
    @Option(
        name: .customLong("jwt-audience"), parsing: .unconditional,
        help: Setting.named("jwt-audience").argumentHelp)
    var jwtAudience: String?
    @Option(parsing: .unconditional, help: Setting.named("drain").argumentHelp) var drain: String?
    @Option(parsing: .unconditional, help: Setting.named("drain-delay").argumentHelp)
    var drainDelay: String?
    @Option(parsing: .unconditional, help: Setting.named("rate-polls").argumentHelp) var ratePolls:
        String?
    @Option(parsing: .unconditional, help: Setting.named("rate-votes").argumentHelp) var rateVotes:
        String?
    @Option(parsing: .unconditional, help: Setting.named("rate-messages").argumentHelp)
    var rateMessages: String?
    @Option(parsing: .unconditional, help: Setting.named("rate-handshakes").argumentHelp)
    var rateHandshakes: String?
    @Option(
        name: .customLong("address-share"), parsing: .unconditional,
        help: Setting.named("address-share").argumentHelp)
    var addressShare: String?
    @Option(parsing: .unconditionalSingleValue, help: Setting.named("limit").argumentHelp)
    var limit: [String] = []
    @Option(parsing: .unconditional, help: Setting.named("log-level").argumentHelp) var logLevel:
        String?
    @Option(parsing: .unconditional, help: Setting.named("log-format").argumentHelp) var logFormat:
        String?
    @Flag(help: Setting.named("ws-echo").argumentHelp) var wsEcho = false

    /// As typed, by the name of the setting; empty where it was not given.
    var arguments: [String: [String]] {
        var arguments: [String: [String]] = [
            "listen": listen, "allowed-origin": allowedOrigin, "limit": limit,
            "trusted-proxy": trustedProxy, "jwt-key": jwtKey, "tls-certificate": tlsCertificate,
            "tls-key": tlsKey,
            "ws-echo": wsEcho ? ["on"] : [],
        ]
        for (name, value) in [
            "ops-listen": opsListen, "database": database, "migrate": migrate,
            "redis": redis, "events": events, "ledger-connections": ledgerConnections,
            "retain": retain,
            "proxy-protocol": proxyProtocol, "loops": loops,
            "tick": tick, "fan-out": fanOut, "compress-above": compressAbove,
            "feed": feed, "feed-rate": feedRate, "services": services,
            "voter-names": voterNames,
            "public-url": publicURL, "hsts": hsts,
            "admin-key": adminKey, "voter-key": voterKey, "jwt-issuer": jwtIssuer,
            "jwt-audience": jwtAudience, "drain": drain, "drain-delay": drainDelay,
            "rate-polls": ratePolls, "rate-votes": rateVotes, "rate-messages": rateMessages,
            "address-share": addressShare,
            "rate-handshakes": rateHandshakes, "log-level": logLevel, "log-format": logFormat,
        ] {
            arguments[name] = value.map { [$0] } ?? []
        }
        return arguments
    }

    func configuration() throws(ExitCode) -> Configuration { try loadConfiguration(arguments) }
}

/// Lists every problem on standard error where there is one.
func loadConfiguration(_ arguments: [String: [String]]) throws(ExitCode) -> Configuration {
    do {
        return try Configuration(arguments: arguments, environment: Host.environment)
    } catch {
        for problem in error.problems { Host.say("pollstream: \(problem)") }
        throw ExitStatus.configurationError
    }
}

extension Setting {
    var argumentHelp: ArgumentHelp {
        ArgumentHelp("\(help) (default: \(standard))", valueName: value)
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

import ArgumentParser
import Glibc

@main
struct PollStreamCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pollstream",
        abstract: Reference.abstract,
        version: "pollstream \(Version.current)",
        subcommands: [Serve.self, Migrate.self, Check.self, PrintReference.self])
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
            Host.say("pollstream: \(Advice.with("\(error)"))")
            throw ExitStatus.dependencyUnusable
        }
        server.serve()
    }
}

struct Migrate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Creates or upgrades the schema of a database.")

    @Option("database") var database: String?
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
            Host.say("pollstream: \(Advice.with("\(error)"))")
            throw ExitStatus.dependencyUnusable
        }
        Host.say("the schema is up to date")
    }
}

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Validates configuration and dependencies, and says all that is wrong.")

    @Option(
        help: ArgumentHelp(
            "Looks at this machine alone, and says what to change for so many sockets.",
            valueName: "N")) var sockets: Int?
    @OptionGroup var options: ServeOptions

    func validate() throws {
        if let sockets, !(1...10_000_000).contains(sockets) {
            throw ValidationError("--sockets: \(sockets) is out of range; give 1 to 10000000")
        }
    }

    func run() throws {
        let configuration = try options.configuration()
        if let sockets { return try tune(configuration.crowd(of: sockets)) }
        for warning in configuration.loop.tls?.warnings(atUnixSeconds: time(nil)) ?? [] {
            Host.say("warning: \(warning)")
        }
        let problems = Server.problems(with: configuration)
        for problem in problems { Host.say(problem) }
        if !problems.isEmpty { throw ExitStatus.configurationError }
        Host.say("everything is in order")
    }

    private func tune(_ crowd: Crowd) throws(ExitCode) {
        let findings = Grant.findings(on: Machine.current(), for: crowd)
        for line in findings.flatMap(\.lines) { Host.say(line) }
        let changes = findings.count(where: \.isChange)
        if changes == 0 { return Host.say("\(crowd.sockets) sockets fit in here") }
        Host.say(
            """
            \(changes) to change for \(crowd.sockets) sockets. What sysctl sets lasts until the \
            machine starts again; in /etc/sysctl.d/90-pollstream.conf it stays.
            """)
        throw ExitStatus.configurationError
    }
}

/// Prints what docs/configuration.md and the man page are made of.
struct PrintReference: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reference", abstract: "Prints the reference of commands and options.",
        shouldDisplay: false)

    enum Format: String, CaseIterable, ExpressibleByArgument { case markdown, man }

    @Argument var format: Format

    func run() {
        switch format {
        case .markdown: print(Reference.markdown)
        case .man: print(Reference.man)
        }
    }
}

/// Lists every problem on standard error where there is one.
func loadConfiguration(_ arguments: [String: [String]]) throws(ExitCode) -> Configuration {
    for line in Setting.misspellings(among: Host.variables) { Host.say("warning: \(line)") }
    do {
        return try Configuration(arguments: arguments, environment: Host.environment)
    } catch {
        for problem in error.problems { Host.say("pollstream: \(problem)") }
        throw ExitStatus.configurationError
    }
}

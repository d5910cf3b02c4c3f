import ArgumentParser

/// What every scenario takes.
struct SharedOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A gateway that runs already, as http://A.B.C.D:PORT. Without it one is started.",
            valueName: "url"))
    var target: Endpoint?

    @Option(help: "The process of --target, for its CPU and memory.")
    var serverPid: Int32?

    @Option(help: "What to load: the gateway, or the limit server alone.")
    var server: ServerKind = .gateway

    @Option(help: "The gateway's binary (default: the repository's release build).")
    var binary: String?

    @Option(help: "The gateway's --database (default: SQLite in a temporary folder).")
    var database: String?

    @Option(help: "The gateway's --loops (default: 1 where it is compared with one thread).")
    var loops: Int?

    @Option(
        parsing: .singleValue,
        help: "A further argument for the gateway, repeatable: --server-option=--tick=20ms")
    var serverOption: [String] = []

    @Option(help: "The server's core, or `any`.")
    var serverCpu: Core?

    @Option(help: "The client's core, or `any`.")
    var clientCpu: Core?

    @Option(help: "Source addresses, 127.0.0.2 and on; each has 28,000 ports to one listener.")
    var sources = 8

    @Option(help: ArgumentHelp("Also write the report there.", valueName: "file"))
    var json: String?

    @Option(
        help: ArgumentHelp("Also write the report there, with plots.", valueName: "file"))
    var html: String?

    @Flag(help: "Show the progress line though standard error is no terminal.")
    var progress = false

    func validate() throws {
        guard (0...250).contains(sources) else {
            throw ValidationError("--sources must be 0 to 250")
        }
        guard target == nil || server == .gateway else {
            throw ValidationError("--target and --server limit exclude each other")
        }
    }
}

/// For scenarios that can be held against the bare limit.
struct ComparisonOptions: ParsableArguments {
    enum Limit: String, ExpressibleByArgument {
        case limit
        case uring
    }

    @Option(
        help: """
            Pair each run of the gateway with one of the bare server: `limit` sends to one socket \
            after another, `uring` submits its sends to io_uring in batches.
            """)
    var against: Limit?

    @Option(help: "Runs, or pairs of runs with --against (default: 5 pairs, or 1 run).")
    var pairs: Int?

    @Option(help: "Bytes of a tally frame of --server limit; with --against those of the gateway.")
    var frameBytes = 200

    @Option(help: "Bytes of a snapshot frame of --server limit; as above.")
    var snapshotBytes = 600

    var runCount: Int { pairs ?? (against == nil ? 1 : 5) }

    func validate() throws {
        guard runCount > 0 else { throw ValidationError("--pairs must be above 0") }
    }
}

extension ServerKind: ExpressibleByArgument {}

/// Where a process runs.
enum Core: ExpressibleByArgument, CustomStringConvertible {
    case any
    case number(Int32)

    init?(argument: String) {
        if argument == "any" {
            self = .any
        } else if let number = Int32(argument), number >= 0 {
            self = .number(number)
        } else {
            return nil
        }
    }

    var description: String {
        switch self {
        case .any: "any core"
        case .number(let number): "core \(number)"
        }
    }

    /// As ld_pin takes it.
    var index: Int32 {
        switch self {
        case .any: -1
        case .number(let number): number
        }
    }
}

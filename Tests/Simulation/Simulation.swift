import Glibc
import Telemetry
import Threads

/// Runs seeds, and says which of them broke a promise:
///
///     simulation --seeds 1...1000 [--store memory|sqlite] [--mutation NAME]
///     simulation --seeds 4711...4711 --trace
///     simulation --seeds 1...1000 --all
///
/// A mutation is a mistake put in on purpose: then it has to be found. `--all` runs the seeds in
/// memory, a fifth of them on SQLite, and looks for every mutation.
@main
struct Simulation {
    private var seeds: ClosedRange<UInt64> = 1...100
    private var store = Plan.Store.memory
    private var mutation: Mutation?
    private var traces = false
    private var runsAll = false
    private let folder = makeFolder()
    private let log = Log(
        level: .error, format: .text, to: LogOutput(descriptor: open("/dev/null", O_WRONLY)),
        now: { 0 })

    static func main() {
        hashDeterministically()
        do {
            try Simulation(Array(CommandLine.arguments.dropFirst())).run()
        } catch {
            print("simulation: \(error)")
            exit(2)
        }
    }

    /// Swift's dictionaries have another order in every process, unless told otherwise at its start.
    private static func hashDeterministically() {
        let name = "SWIFT_DETERMINISTIC_HASHING"
        if getenv(name) != nil { return }
        setenv(name, "1", 1)
        var arguments = CommandLine.arguments.map { strdup($0) } + [nil]
        execv("/proc/self/exe", &arguments)
        fatalError("cannot start anew: error \(errno)")
    }

    private struct BadArgument: Error {
        let argument: String
    }

    private init(_ arguments: [String]) throws {
        var rest = arguments[...]
        while let name = rest.popFirst() {
            switch name {
            case "--trace":
                traces = true
                continue
            case "--all":
                runsAll = true
                continue
            default: break
            }
            guard let value = rest.popFirst() else { throw BadArgument(argument: name) }
            switch name {
            case "--seeds":
                let ends = value.split(separator: ".").compactMap { UInt64($0) }
                guard ends.count == 2, ends[0] <= ends[1] else {
                    throw BadArgument(argument: value)
                }
                seeds = ends[0]...ends[1]
            case "--store":
                guard let store = Plan.Store(rawValue: value) else {
                    throw BadArgument(argument: value)
                }
                self.store = store
            case "--mutation":
                guard let mutation = Mutation(rawValue: value) else {
                    throw BadArgument(argument: value)
                }
                self.mutation = mutation
            default: throw BadArgument(argument: name)
            }
        }
    }

    private func run() throws {
        defer { rmdir(folder) }
        var failedCount = 0
        if runsAll {
            failedCount += try runSeeds(seeds, .memory) ? 0 : 1
            let few = seeds.lowerBound...seeds.lowerBound + UInt64(seeds.count - 1) / 5
            failedCount += try runSeeds(few, .sqlite) ? 0 : 1
            for mutation in Mutation.allCases { failedCount += try find(mutation) ? 0 : 1 }
            print("\(2 + Mutation.allCases.count - failedCount) passed, \(failedCount) failed")
        } else {
            failedCount = try runSeeds(seeds, store) ? 0 : 1
        }
        exit(failedCount == 0 ? 0 : 1)
    }

    private func run(
        _ seed: UInt64, _ store: Plan.Store, _ mutation: Mutation?
    ) throws -> Run.Result {
        try Run.run(
            seed: seed, store: store, mutation: mutation, traces: traces, log: log, folder: folder)
    }

    /// - Returns: whether no promise was broken.
    private func runSeeds(_ seeds: ClosedRange<UInt64>, _ store: Plan.Store) throws -> Bool {
        let begin = Clock.monotonicNanoseconds()
        var counts: [String: Int] = [:]
        var failed: [UInt64] = []
        for seed in seeds where failed.count < 10 {
            let result = try run(seed, store, mutation)
            counts.merge(result.counts, uniquingKeysWith: +)
            if traces { for line in result.story { print(line) } }
            guard !result.violations.isEmpty else { continue }
            failed.append(seed)
            print("seed \(seed): \(result.violations.count) violations; the first:")
            for violation in result.violations.prefix(3) { print("    \(violation)") }
        }
        let seconds = Double(Clock.monotonicNanoseconds() - begin) / 1e9
        print("\(store): \(seeds.count) seeds in \(Int(seconds)) s")
        for what in counts.keys.sorted() { print("    \(counts[what]!) \(what)") }
        if !failed.isEmpty {
            let names = failed.map { "\($0)" }.joined(separator: " ")
            print("FAILED: \(names); show one with --store \(store) --seeds N...N --trace")
        }
        return failed.isEmpty
    }

    /// - Returns: whether one of the first seeds shows the mistake.
    private func find(_ mutation: Mutation) throws -> Bool {
        for seed in seeds.lowerBound..<seeds.lowerBound + Self.mutationSeedCount {
            let result = try run(seed, .memory, mutation)
            guard let violation = result.violations.first else { continue }
            print("\(mutation.rawValue): found by seed \(seed): \(violation)")
            return true
        }
        print("\(mutation.rawValue): NOT FOUND by \(Self.mutationSeedCount) seeds")
        return false
    }

    private static let mutationSeedCount: UInt64 = 1_000

    /// In memory where the machine has such a place: what is fsynced there costs nothing.
    private static func makeFolder() -> String {
        let place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array("\(place)/simulation.XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { fatalError("no folder in \(place)") }
        return String(cString: made)
    }
}

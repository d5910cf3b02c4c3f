import Glibc
import Telemetry
import Threads

/// Runs seeds, and says which of them broke a promise:
///
///     simulation --seeds 1...1000 [--store memory|sqlite] [--mutation NAME]
///     simulation --seeds 4711...4711 --trace
///
/// A mutation is a mistake put in on purpose: then it has to be found.
@main
struct Simulation {
    private var first: UInt64 = 1
    private var last: UInt64 = 100
    private var store = Plan.Store.memory
    private var mutation: Mutation?
    private var traces = false

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
            if name == "--trace" {
                traces = true
                continue
            }
            guard let value = rest.popFirst() else { throw BadArgument(argument: name) }
            switch name {
            case "--seeds":
                let ends = value.split(separator: ".").compactMap { UInt64($0) }
                guard ends.count == 2, ends[0] <= ends[1] else {
                    throw BadArgument(argument: value)
                }
                (first, last) = (ends[0], ends[1])
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
        let log = Log(
            level: .error, format: .text, to: LogOutput(descriptor: open("/dev/null", O_WRONLY)),
            now: { 0 })
        let folder = makeFolder()
        defer { rmdir(folder) }
        let begin = Clock.monotonicNanoseconds()
        var counts: [String: Int] = [:]
        var failed: [UInt64] = []
        for seed in first...last {
            let result = try Run.run(
                seed: seed, store: store, mutation: mutation, traces: traces, log: log,
                folder: folder)
            counts.merge(result.counts, uniquingKeysWith: +)
            if traces { for line in result.story { print(line) } }
            guard !result.violations.isEmpty else { continue }
            failed.append(seed)
            print("seed \(seed): \(result.violations.count) violations; the first:")
            for violation in result.violations.prefix(3) { print("    \(violation)") }
            // One is enough to show that a mistake is found.
            if mutation != nil || failed.count == 10 { break }
        }
        let seconds = Double(Clock.monotonicNanoseconds() - begin) / 1e9
        let figures = counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        print("\(last - first + 1) seeds in \(Int(seconds)) s: " + figures.joined(separator: ", "))
        if !failed.isEmpty {
            let names = failed.map { "\($0)" }.joined(separator: " ")
            print("FAILED: \(names); show one with --seeds N...N --trace")
        }
        exit(failed.isEmpty ? 0 : 1)
    }

    /// In memory where the machine has such a place: what is fsynced there costs nothing.
    private func makeFolder() -> String {
        let place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array("\(place)/simulation.XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { fatalError("no folder in \(place)") }
        return String(cString: made)
    }
}

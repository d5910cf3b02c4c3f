import CLoad
import Foundation

/// One measured number.
struct Figure: Encodable {
    let name: String
    let value: Double
    let unit: String

    init(_ name: String, _ value: Double, _ unit: String) {
        self.name = name
        self.value = value
        self.unit = unit
    }
}

/// One number over time.
struct Series: Encodable {
    struct Point: Encodable {
        /// Since the measurement began.
        let seconds: Double
        let value: Double
    }

    let name: String
    let unit: String
    var points: [Point] = []
}

/// What one server did in one go.
struct Run: Encodable {
    /// The server: `gateway`, `limit`, or the target's address.
    let server: String
    /// What was asked of it: `5000 subscribers`. Runs of one load stand in one table.
    let load: String
    var figures: [Figure] = []
    /// By name, in milliseconds; also in `figures`, for the table.
    var latencies: [String: Distribution.Summary] = [:]
    /// For plots.
    var curves: [Distribution.Curve] = []
    var series: [Series] = []
    /// Things that had to arrive, and those that did.
    var expected: UInt64 = 0
    var received: UInt64 = 0

    init(server: String, load: String) {
        self.server = server
        self.load = load
    }

    mutating func add(_ name: String, _ value: Double?, _ unit: String) {
        guard let value else { return }
        figures.append(Figure(name, value, unit))
    }

    mutating func add(_ name: String, _ distribution: Distribution) {
        guard let summary = distribution.summary else { return }
        latencies[name] = summary
        curves.append(distribution.curve(name))
        figures += summary.figures(of: name)
    }

    func value(of figure: String) -> Double? {
        figures.first { $0.name == figure }?.value
    }
}

/// The gateway's figure divided by the limit's, pair by pair of one load.
struct Ratio: Encodable {
    let figure: String
    let load: String
    let pairs: [Double]
    /// The target: RESULTS.md lists them.
    let target: String?

    /// Nil without pairs.
    var median: Double? {
        guard !pairs.isEmpty else { return nil }
        let sorted = pairs.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    enum CodingKeys: CodingKey { case figure, load, pairs, target, median }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(figure, forKey: .figure)
        try container.encode(load, forKey: .load)
        try container.encode(pairs, forKey: .pairs)
        try container.encode(target, forKey: .target)
        try container.encode(median, forKey: .median)
    }
}

/// All that one invocation found; filled as it goes, so that Ctrl-C leaves what there is.
struct Report: Encodable {
    let scenario: String
    let command = CommandLine.arguments
    let startedAt = Date().formatted(.iso8601)
    let machine = Machine.current
    let commit = Machine.commit
    /// How the processes were placed on cores.
    let placement: String
    var runs: [Run] = []
    var ratios: [Ratio] = []
    /// What the reader must know to read the figures.
    var notes: [String] = []
    /// Why the figures cannot be trusted; any makes the exit status 1.
    var problems: [String] = []
    var wasInterrupted = false

    init(scenario: String, placement: String) {
        self.scenario = scenario
        self.placement = placement
    }

    /// Adds a run and checks that what had to arrive did; of an interrupted one nobody can tell.
    mutating func add(_ run: Run) {
        runs.append(run)
        if run.expected != run.received, !ld_interrupted() {
            problems.append(
                "\(run.server), \(run.load): expected \(run.expected), received \(run.received)")
        }
    }

    /// Pairs each server's and the limit's runs of `load` in the order they were made. The target is
    /// the gateway's.
    mutating func addRatio(of figure: String, load: String, target: String? = nil) {
        let ofLoad = runs.filter { $0.load == load && $0.value(of: figure) != nil }
        let limits = ofLoad.filter { $0.server == ServerKind.sendLimit.rawValue }
        var names: [String] = []
        for run in ofLoad where run.server != ServerKind.sendLimit.rawValue {
            if !names.contains(run.server) { names.append(run.server) }
        }
        for name in names {
            let isGateway = name == names[0]
            addRatio(
                of: figure, ofLoad.filter { $0.server == name }, limits,
                load: isGateway ? load : "\(name), \(load)", target: isGateway ? target : nil)
        }
    }

    /// Pairs the runs of one load with those of another.
    mutating func addRatio(of figure: String, load: String, to other: String, target: String? = nil)
    {
        addRatio(
            of: figure, runs.filter { $0.load == load }, runs.filter { $0.load == other },
            load: "\(load) to \(other)", target: target)
    }

    private mutating func addRatio(
        of figure: String, _ ones: [Run], _ others: [Run], load: String, target: String?
    ) {
        let pairs = zip(ones, others).compactMap { one, other -> Double? in
            guard let above = one.value(of: figure), let below = other.value(of: figure), below > 0
            else { return nil }
            return above / below
        }
        ratios.append(Ratio(figure: figure, load: load, pairs: pairs, target: target))
    }

    func writeJSON(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try encoder.encode(self).write(to: URL(fileURLWithPath: path))
    }
}

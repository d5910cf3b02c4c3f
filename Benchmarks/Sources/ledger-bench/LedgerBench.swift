import ArgumentParser
import Foundation
import Polls
import Store
import TestServers

/// The ledger's path into PostgreSQL against a bare binary COPY into the same keyed table, in the same
/// run, on the same server, turn by turn.
@main
struct LedgerBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger-bench",
        abstract: "Ballots a second into PostgreSQL, as a multiple of a bare binary COPY.")

    @Option(name: .customLong("batch"), parsing: .upToNextOption, help: "Ballots in a batch.")
    var batchSizes = [1_000, 5_000]

    @Option(help: "Pairs of turns, bare and ledger; the median of their ratios is told.")
    var pairs = 5

    @Option(help: "Seconds a turn.")
    var seconds = 2.0

    @Option(
        help: "Rows of other polls that stand in both tables before the last pairs; 0 for none.")
    var oldRows = 5_000_000

    @Option(name: .customLong("json"), help: "Also writes the figures to this file.")
    var jsonPath: String?

    func validate() throws {
        guard pairs > 0, seconds > 0, oldRows >= 0, batchSizes.allSatisfy({ $0 > 0 }) else {
            throw ValidationError("counts and seconds must be above 0")
        }
    }

    func run() throws {
        // As durable as servers are: nothing but room for the log is changed.
        let server = PrivatePostgres(settings: ["max_wal_size": "4GB"])
        defer { server.remove() }
        let bench = try Arena(server)
        var lines: [Line] = []
        for size in batchSizes {
            for load in Load.allCases {
                lines.append(try measure(load, size, bench))
                lines.last!.say()
            }
        }
        if oldRows > 0 {
            try bench.fill(oldRows)
            for size in batchSizes {
                var line = try measure(.new, size, bench)
                line.load = "new, beside \(oldRows) old rows"
                lines.append(line)
                line.say()
            }
        }
        if let jsonPath {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            try encoder.encode(lines).write(to: URL(fileURLWithPath: jsonPath))
        }
    }

    private func measure(_ load: Load, _ size: Int, _ bench: Arena) throws -> Line {
        var ratios: [Double] = []
        var bare: [Turn] = []
        var ledger: [Turn] = []
        for pair in 0..<pairs {
            // Who begins takes turns.
            for isBare in pair % 2 == 0 ? [true, false] : [false, true] {
                if isBare {
                    bare.append(try bench.bareTurn(size, seconds))
                } else {
                    ledger.append(try bench.ledgerTurn(load, size, seconds))
                }
            }
            ratios.append(ledger[pair].rate / bare[pair].rate)
        }
        return Line(
            load: load.rawValue, batch: size, ratio: median(ratios), ratios: ratios,
            bare: Turn(medianOf: bare), ledger: Turn(medianOf: ledger))
    }
}

enum Load: String, CaseIterable {
    case new
    case recentRepeats = "1 % repeats of recent ballots"
    case oldRepeats = "1 % repeats of old ballots"
    case twoLedgers = "two gateways, one poll"
}

/// What one side did in its time. Per ballot: microseconds of CPU and bytes of write-ahead log.
struct Turn: Encodable {
    var rate: Double
    var serverCPU: Double
    var ourCPU: Double
    var logBytes: Double

    init(rate: Double, serverCPU: Double, ourCPU: Double, logBytes: Double) {
        self.rate = rate
        self.serverCPU = serverCPU
        self.ourCPU = ourCPU
        self.logBytes = logBytes
    }

    init(medianOf turns: [Turn]) {
        self.init(
            rate: median(turns.map(\.rate)), serverCPU: median(turns.map(\.serverCPU)),
            ourCPU: median(turns.map(\.ourCPU)), logBytes: median(turns.map(\.logBytes)))
    }
}

struct Line: Encodable {
    var load: String
    let batch: Int
    let ratio: Double
    let ratios: [Double]
    let bare: Turn
    let ledger: Turn

    /// At once, also into a file.
    func say() { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }

    private var text: String {
        func describe(_ turn: Turn) -> String {
            String(
                format: "%7.0f/s, CPU %.1f + %.1f µs, log %.0f B", turn.rate, turn.serverCPU,
                turn.ourCPU, turn.logBytes)
        }
        return String(
            format: "%@, batches of %d: %.2f of a bare COPY (%.2f to %.2f)\n"
                + "    ledger %@\n    bare   %@", load, batch, ratio, ratios.min() ?? 0,
            ratios.max() ?? 0, describe(ledger), describe(bare))
    }
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

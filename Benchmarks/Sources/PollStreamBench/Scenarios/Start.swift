import ArgumentParser
import CLoad
import Foundation

/// How soon does the gateway listen on a database that exists?
struct Start: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "From the start of the process to `listening on`, with an existing database.")

    @OptionGroup var shared: SharedOptions

    @Option(help: "Measured starts.")
    var times = 20

    func validate() throws {
        guard times > 0 else { throw ValidationError("--times must be above 0") }
        guard shared.target == nil else {
            throw ValidationError("start needs a gateway of its own, not --target")
        }
    }

    func run() throws {
        try Session.run("start", shared, isSharingCore: false) { session in
            let folder = FileManager.default.temporaryDirectory
                .appendingPathComponent("pollstream-start-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let database = shared.database ?? "sqlite:\(folder.path)/db"

            var run = Run(server: ServerKind.gateway.rawValue, load: "\(times) starts")
            run.expected = UInt64(times)
            defer { session.report.add(run) }
            var starts = Distribution()
            defer { run.add("start to listening", starts) }
            let first = try session.startGateway(database: database)
            run.add(
                "first start, which makes the schema", first.startSeconds.map { $0 * 1000 }, "ms")
            session.stop(first)
            for time in 0..<times {
                session.progress.show("start \(time) of \(times)")
                let server = try session.startGateway(database: database)
                starts.record(nanoseconds(server.startSeconds ?? 0))
                run.received += 1
                session.stop(server)
                if ld_interrupted() { throw Failure.interrupted }
            }
        }
    }
}

import ArgumentParser
import CLoad
import Foundation
import Glibc

/// Subscribers in a process of their own, because one has at most 20,000 descriptors. Does what each
/// line on standard input says, and answers each with a line of JSON; ends with its input.
///
///     open                  connects all
///     await NANOSECONDS     until all hold a change that was made then (ld_now_ns' clock)
///     rest SECONDS          reads and answers pings
struct Viewers: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The viewers of `cluster`.", shouldDisplay: false)

    @Option var target: Endpoint
    @Option var path: String
    @Option var count: Int
    @Option var sources: Int

    struct Answer: Codable {
        /// Subscribers that are up, or that a change reached.
        var reached = 0
        /// When the last of them had it.
        var lastNanoseconds: UInt64 = 0
        /// `Distribution.encoded`: from connect() to the snapshot, or from the change on.
        var latencies: [UInt64] = []
        var problem: String?
    }

    func run() throws {
        ld_catch_interrupt()
        _ = ld_raise_descriptor_limit()
        let subscribers = try Subscribers(of: target, sources: sources, path: path, count: count)
        while let line = readLine() {
            let words = line.split(separator: " ")
            var answer = Answer()
            var latencies = Distribution()
            switch words[0] {
            case "open":
                let (opening, failure) = subscribers.open(concurrency: 128, latencies: &latencies)
                answer.reached = Int(opening.ready_count)
                answer.problem = failure?.description
            case "await":
                let (round, failure) = subscribers.await(
                    from: UInt64(words[1])!, latencies: &latencies)
                answer.reached = Int(round.reached_count)
                answer.lastNanoseconds = round.last_ns
                answer.problem = failure?.description
            default:
                do {
                    try subscribers.rest(seconds: Double(words[1])!)
                } catch {
                    answer.problem = "\(error)"
                }
            }
            answer.latencies = latencies.encoded
            FileHandle.standardOutput.write(try JSONEncoder().encode(answer) + Data("\n".utf8))
        }
    }
}

/// A process of `Viewers`, from the other side; ends with this object.
final class ViewersProcess {
    let count: Int
    private let processID: pid_t
    private let requests: Int32
    private let answers: UnsafeMutablePointer<FILE>

    init(of endpoint: Endpoint, path: String, count: Int, sources: Int) throws {
        var (down, up): ([Int32], [Int32]) = ([0, 0], [0, 0])
        guard pipe(&down) == 0, pipe(&up) == 0, fcntl(down[1], F_SETFD, FD_CLOEXEC) == 0,
            fcntl(up[0], F_SETFD, FD_CLOEXEC) == 0
        else { throw Failure.server("no pipe") }
        defer {
            close(down[0])
            close(up[1])
        }
        self.count = count
        requests = down[1]
        answers = fdopen(up[0], "r")
        processID = try spawn(
            [
                Repository.executable, "viewers", "--target", "\(endpoint)", "--path", path,
                "--count", "\(count)", "--sources", "\(sources)",
            ], log: "/dev/null", input: down[0], output: up[1])
    }

    deinit {
        close(requests)
        fclose(answers)
        waitpid(processID, nil, 0)
    }

    var cpuSeconds: Double { Double(ld_process_cpu_ns(processID)) / 1e9 }

    func ask(_ request: String) throws {
        let line = Array((request + "\n").utf8)
        guard write(requests, line, line.count) == line.count else {
            throw Failure.load("a process of viewers has ended")
        }
    }

    func answer() throws -> Viewers.Answer {
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        let count = getline(&line, &capacity, answers)
        if ld_interrupted() { throw Failure.interrupted }
        guard count > 0, let line else { throw Failure.load("a process of viewers has ended") }
        let bytes = Data(bytes: line, count: count)
        let answer = try JSONDecoder().decode(Viewers.Answer.self, from: bytes)
        if let problem = answer.problem { throw Failure.load(problem) }
        return answer
    }
}

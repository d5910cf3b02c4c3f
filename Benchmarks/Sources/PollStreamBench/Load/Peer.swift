import CLoad
import Foundation
import Glibc

/// Another's WebSocket server, how it is started, and how it is made to publish. A JSON file, in whose
/// texts `{port}` and `{other_port}` are free ports, `{folder}` is a temporary folder, and `{here}` is
/// the folder of the file.
struct Peer: Decodable {
    let name: String
    /// Files of the temporary folder, line by line.
    let files: [String: [String]]?
    /// For bash; one that ends with `exec` is what CPU and memory are of. nil: it runs already.
    let start: String?
    /// Where a WebSocket is opened.
    let path: String
    /// Said by each viewer once it is up; nil: nothing.
    let firstMessage: String?
    /// For bash; publishes each line that it reads.
    let publish: String

    enum CodingKeys: String, CodingKey {
        case name, files, start, path, publish
        case firstMessage = "first_message"
    }

    private(set) var here = "."

    init(_ file: String) throws {
        guard let bytes = FileManager.default.contents(atPath: file) else {
            throw Failure.server("there is no \(file)")
        }
        do {
            self = try JSONDecoder().decode(Peer.self, from: bytes)
        } catch {
            throw Failure.server("\(file) describes no server: \(error)")
        }
        here = URL(fileURLWithPath: file).deletingLastPathComponent().path
    }

    /// One that runs already.
    init(name: String, path: String, firstMessage: String?, publish: String) {
        self.name = name
        self.path = path
        self.firstMessage = firstMessage
        self.publish = publish
        (files, start) = (nil, nil)
    }

    /// One that only has to be started.
    init(name: String, files: [String: [String]]) {
        self.name = name
        self.files = files
        (start, path, firstMessage, publish) = (nil, "/", nil, "")
    }

    /// Puts ports and folders into its texts.
    struct Places {
        let port: UInt16
        let otherPort: UInt16
        let folder: String
        let here: String

        func fill(_ text: String) -> String {
            text.replacingOccurrences(of: "{port}", with: "\(port)")
                .replacingOccurrences(of: "{other_port}", with: "\(otherPort)")
                .replacingOccurrences(of: "{folder}", with: folder)
                .replacingOccurrences(of: "{here}", with: here)
        }
    }
}

/// A process that publishes each line it is given; ends with this object.
final class Publisher {
    private let processID: pid_t
    private let pipe: Int32

    init(_ command: String) throws {
        var ends: [Int32] = [0, 0]
        guard Glibc.pipe(&ends) == 0, fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0 else {
            throw Failure.server("no pipe to publish by")
        }
        defer { close(ends[0]) }
        processID = try spawn(["/bin/bash", "-c", command], log: "/dev/null", input: ends[0])
        pipe = ends[1]
    }

    deinit {
        close(pipe)
        kill(-processID, SIGTERM)
        waitpid(processID, nil, 0)
    }

    func publish(_ message: String) throws {
        let line = Array((message + "\n").utf8)
        guard write(pipe, line, line.count) == line.count else {
            throw Failure.server("the command that publishes has ended")
        }
    }
}

/// A port that nobody listens on now.
func freePort() throws -> UInt16 {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(socket, $0, length) == 0 ? getsockname(socket, $0, &length) : -1
        }
    }
    guard result == 0 else { throw Failure.server("no free port") }
    return UInt16(bigEndian: address.sin_port)
}

/// Fan-out of another's server: the messages hold a number that grows, and are as long as a gateway's.
struct PeerLoad {
    let subscribers: Int
    let rounds: Int?
    let warmup: Int
    /// Quiet seconds after opening, in which subscriptions take hold.
    let settle: Double
    let frameBytes: Int

    func measure(_ server: Server, _ peer: Peer, _ session: Session) throws -> Run {
        let subscribers = try Subscribers(
            of: server.endpoint, sources: session.shared.sources, path: peer.path,
            subject: .foreign(firstMessage: peer.firstMessage), count: self.subscribers)
        session.progress.show("\(server.name): opening \(self.subscribers) subscribers")
        var opening = Distribution()
        let (_, failure) = subscribers.open(concurrency: 256, latencies: &opening)
        if let failure { throw failure }
        let publisher = try Publisher(server.places?.fill(peer.publish) ?? peer.publish)
        try subscribers.rest(seconds: settle)
        let memory = server.anonymousBytes

        var number = 0
        func changes(_ count: Int) -> Rounds {
            Rounds(count, of: self.subscribers, on: server, session) { latencies in
                number += 1
                let started = ld_now_ns()
                do {
                    try publisher.publish(message(number))
                } catch {
                    return (ld_round(), error as? Failure)
                }
                return subscribers.await(from: started, latencies: &latencies)
            }
        }
        let warm = changes(warmup)
        if let failure = warm.failure { throw failure }
        let measured = changes(Rounds.count(rounds, subscribers: self.subscribers))
        if let failure = measured.failure { session.report.problems.append("\(failure)") }
        var run = Run(server: server.name, load: Rounds.load(self.subscribers))
        measured.add(to: &run, subscribers: self.subscribers)
        run.add("other messages meanwhile", Double(measured.others), "")
        run.add("memory of the process", memory.map { $0 / 1e6 }, "MB")
        return run
    }

    private func message(_ number: Int) -> String {
        let head = #"{"type":"tally","revision":\#(number),"padding":""#
        let payload = frameBytes - (frameBytes > 129 ? 4 : 2)
        return head + String(repeating: "x", count: max(0, payload - head.utf8.count - 2)) + #""}"#
    }
}

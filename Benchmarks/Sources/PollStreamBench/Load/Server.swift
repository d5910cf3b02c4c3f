import CLoad
import Foundation
import Glibc

enum ServerKind: String {
    case gateway
    case sendLimit = "limit"
}

/// A server under load: one that we started and stop, or one that runs already.
final class Server {
    let name: String
    let endpoint: Endpoint
    /// Nil for a running target whose process is not known: its CPU and memory are then not told.
    let processID: pid_t?
    /// From the start of the process until its `listening on` line; nil for a running target.
    let startSeconds: Double?

    /// What a peer's texts were filled with; nil for ours, and for one that runs already.
    private(set) var places: Peer.Places?

    private let folder: String?

    /// A gateway that runs already.
    init(running endpoint: Endpoint, processID: pid_t?) {
        name = endpoint.host
        self.endpoint = endpoint
        self.processID = processID
        startSeconds = nil
        folder = nil
    }

    /// Starts `binary` and waits until it listens. `arguments` is given a fresh temporary folder,
    /// which lives as long as the server.
    init(starting kind: ServerKind, binary: String, arguments: (_ folder: String) -> [String])
        throws
    {
        guard access(binary, X_OK) == 0 else {
            throw Failure.server("there is no \(binary); build it, or name one with --binary")
        }
        let folder = try temporaryFolder()
        let started = ld_now_ns()
        let processID = try spawn([binary] + arguments(folder), log: folder + "/log")
        do {
            endpoint = try awaitListening(processID, log: folder + "/log")
        } catch {
            // One that ended by itself has been waited for: its number may belong to another by now.
            if waitpid(processID, nil, WNOHANG) == 0 {
                kill(processID, SIGKILL)
                waitpid(processID, nil, 0)
            }
            try? FileManager.default.removeItem(atPath: folder)
            throw error
        }
        startSeconds = Double(ld_now_ns() - started) / 1e9
        name = kind.rawValue
        self.processID = processID
        self.folder = folder
    }

    /// Starts another's server and waits until it takes connections.
    init(starting peer: Peer, _ command: String) throws {
        let folder = try temporaryFolder()
        let places = Peer.Places(
            port: try freePort(), otherPort: try freePort(), folder: folder, here: peer.here)
        for (name, lines) in peer.files ?? [:] {
            try lines.map { places.fill($0) + "\n" }.joined()
                .write(toFile: "\(folder)/\(name)", atomically: false, encoding: .utf8)
        }
        let processID = try spawn(
            ["/bin/bash", "-c", places.fill(command)], log: folder + "/log")
        name = peer.name
        endpoint = Endpoint(argument: "127.0.0.1:\(places.port)")!
        self.processID = processID
        self.places = places
        self.folder = folder
        startSeconds = nil
        try awaitConnections(processID, endpoint, log: folder + "/log")
    }

    /// Ends a server that we started as a power cut would, and removes its folder.
    func cut() {
        guard let processID, let folder else { return }
        kill(processID, SIGKILL)
        waitpid(processID, nil, 0)
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// As below, doing nothing.
    func stop() -> String? { stop { usleep(5000) } }

    /// Asks a server that we started to end, waits for it, and removes its folder. Returns what is
    /// wrong with the way it ended, if anything.
    /// - Parameter meanwhile: done again and again until it has ended.
    func stop(meanwhile: () throws -> Void) rethrows -> String? {
        guard let processID, let folder else { return nil }
        defer { try? FileManager.default.removeItem(atPath: folder) }
        kill(processID, SIGTERM)
        var status: Int32 = 0
        let deadline = ld_now_ns() + nanoseconds(40)
        while waitpid(processID, &status, WNOHANG) == 0 {
            guard ld_now_ns() < deadline else {
                kill(processID, SIGKILL)
                waitpid(processID, &status, 0)
                return "\(name) did not end within 40 s of SIGTERM"
            }
            try meanwhile()
        }
        // Of another's server it is enough that it ends.
        return status == 0 || places != nil ? nil : "\(name) ended with status \(status)"
    }

    /// User and system time of the process so far, in seconds.
    var cpuSeconds: Double? {
        processID.map { Double(ld_process_cpu_ns($0)) / 1e9 }
    }

    /// Memory that the process itself holds (RssAnon): heap and stacks, neither code nor the
    /// kernel's socket buffers.
    var anonymousBytes: Double? {
        guard let processID,
            let status = try? String(contentsOfFile: "/proc/\(processID)/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("RssAnon:") }),
            let kilobytes = line.split(whereSeparator: { " \t".contains($0) }).dropFirst().first
        else { return nil }
        return Double(kilobytes).map { $0 * 1024 }
    }
}

private func temporaryFolder() throws -> String {
    var template = Array((NSTemporaryDirectory() + "/pollstream-bench-XXXXXX").utf8CString)
    guard let made = mkdtemp(&template) else {
        throw Failure.server("no temporary folder: \(String(cString: strerror(errno)))")
    }
    return String(cString: made)
}

/// Starts a process in its own group, so that Ctrl-C reaches only us, and we end it in order.
/// - Parameters:
///   - input: its standard input; nil: nothing.
///   - output: its standard output; nil: nowhere.
func spawn(
    _ command: [String], log: String, input: Int32? = nil, output: Int32? = nil
) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
        posix_spawn_file_actions_destroy(&actions)
        posix_spawnattr_destroy(&attributes)
    }
    if let input {
        posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
    } else {
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    }
    if let output {
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
    } else {
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
    }
    posix_spawn_file_actions_addopen(
        &actions, STDERR_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF))
    posix_spawnattr_setpgroup(&attributes, 0)
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGPIPE)
    posix_spawnattr_setsigdefault(&attributes, &signals)

    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
    arguments.append(nil)
    defer { arguments.forEach { free($0) } }
    var processID: pid_t = 0
    let result = posix_spawn(&processID, command[0], &actions, &attributes, arguments, environ)
    guard result == 0 else {
        throw Failure.server("\(command[0]): \(String(cString: strerror(result)))")
    }
    return processID
}

/// Connects until somebody answers.
private func awaitConnections(_ processID: pid_t, _ endpoint: Endpoint, log: String) throws {
    let deadline = ld_now_ns() + nanoseconds(20)
    while !endpoint.takesConnections {
        let said = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        if ld_interrupted() { throw Failure.interrupted }
        var status: Int32 = 0
        guard waitpid(processID, &status, WNOHANG) == 0 else {
            throw Failure.server("the server ended before it listened; it said:\n\(said)")
        }
        guard ld_now_ns() < deadline else {
            kill(processID, SIGKILL)
            waitpid(processID, nil, 0)
            throw Failure.server("nobody listens on \(endpoint) after 20 s; it said:\n\(said)")
        }
        usleep(20_000)
    }
}

/// Reads the log until the server says where it listens.
private func awaitListening(_ processID: pid_t, log: String) throws -> Endpoint {
    let deadline = ld_now_ns() + nanoseconds(20)
    while true {
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        // The last line may be half written.
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            guard let said = line.range(of: "listening on ") else { continue }
            let address = line[said.upperBound...].prefix { !$0.isWhitespace }
            if let endpoint = Endpoint(argument: String(address)) { return endpoint }
        }
        if ld_interrupted() { throw Failure.interrupted }
        var status: Int32 = 0
        guard waitpid(processID, &status, WNOHANG) == 0 else {
            throw Failure.server("the server ended before it listened; it said:\n\(text)")
        }
        guard ld_now_ns() < deadline else {
            throw Failure.server("the server did not listen within 20 s; it said:\n\(text)")
        }
        usleep(500)
    }
}

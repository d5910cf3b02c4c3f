public import Foundation
import TestSockets

/// A PostgreSQL server of one's own: in a temporary directory, on a free port, as an unprivileged
/// user where the test runs as root. It dies with the test's process.
///
/// For any thread. Needs Debian's `postgresql` (its binaries, no cluster) and `util-linux`.
public final class PrivatePostgres: @unchecked Sendable {
    public let port: UInt16
    private let directory: String
    private let settings: [String: String]
    private let lock = NSLock()
    private var process: Process?
    private var databaseCount = 0

    /// One for all tests that leave the server as it is. Its disk is not waited for.
    public static let shared: PrivatePostgres = {
        let server = PrivatePostgres(settings: ["fsync": "off", "max_connections": "300"])
        atexit { PrivatePostgres.shared.remove() }
        return server
    }()

    /// Starts it. - Parameter settings: as in postgresql.conf.
    public init(settings: [String: String] = [:]) {
        directory = Self.makeDirectory()
        port = Self.freePort()
        self.settings = settings
        Self.run([
            "initdb", "-D", directory + "/data", "-U", "test", "-A", "trust", "--no-sync",
            "-E", "UTF8", "--locale=C.UTF-8",
        ])
        start()
    }

    deinit { remove() }

    /// Connection parameters of a database, `postgres` for the one that is always there.
    public func conninfo(_ database: String = "postgres", port: UInt16? = nil) -> String {
        "postgres://test@127.0.0.1:\(port ?? self.port)/\(database)"
    }

    /// A new, empty database; a copy of `template` where one is named.
    public func createDatabase(from template: String = "template0") -> String {
        let name = lock.withLock {
            databaseCount += 1
            return "test_\(databaseCount)"
        }
        psql("CREATE DATABASE \(name) TEMPLATE \(template)")
        return name
    }

    /// - Returns: what psql prints, without headers.
    @discardableResult
    public func psql(_ sql: String, in database: String = "postgres") -> String {
        Self.run(
            [
                "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql,
                conninfo(database),
            ])
    }

    public func start() {
        var arguments = [
            "-D", directory + "/data", "-k", directory, "-p", "\(port)",
            "-c", "listen_addresses=127.0.0.1",
        ]
        for (name, value) in settings { arguments += ["-c", "\(name)=\(value)"] }
        let process = Process()
        (process.executableURL, process.arguments) = Self.command(
            ["postgres"] + arguments, dyingWithUs: true)
        process.standardError = FileHandle(forWritingAtPath: directory + "/log")
        process.standardOutput = process.standardError
        Self.launch(process)
        lock.withLock { self.process = process }
        for _ in 0..<600 {
            if Self.status(["pg_isready", "-q", "-h", "127.0.0.1", "-p", "\(port)"]) == 0 {
                return
            }
            usleep(50_000)
        }
        fatalError("PostgreSQL does not start: \(log)")
    }

    /// `SIGINT` is a fast stop, `SIGQUIT` an immediate one, `SIGKILL` a crash.
    public func stop(_ signal: Int32 = SIGINT) {
        guard let process = lock.withLock({ self.process }) else { return }
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
        lock.withLock { self.process = nil }
        if signal == SIGKILL {
            // Its children notice, and leave the data alone soon.
            usleep(300_000)
            unlink(directory + "/data/postmaster.pid")
        }
    }

    /// `SIGSTOP` or `SIGCONT`, for the server and all its sessions.
    public func signalAll(_ signal: Int32) {
        guard let pid = lock.withLock({ process?.processIdentifier }) else { return }
        let children = try? String(
            contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)
        let pids = (children ?? "").split(separator: " ").compactMap { Int32($0) }
        for pid in [pid] + pids { kill(pid, signal) }
    }

    /// User and system time of the server and its sessions, in seconds.
    public var cpuSeconds: Double {
        guard let pid = lock.withLock({ process?.processIdentifier }) else { return 0 }
        let children = try? String(
            contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)
        let pids = (children ?? "").split(separator: " ").compactMap { Int32($0) }
        return ([pid] + pids).reduce(0) { sum, pid in
            let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
            // utime and stime, and those of children that ended; the name may hold spaces.
            let words = (stat ?? "").split(separator: ")").last?.split(separator: " ") ?? []
            guard words.count > 14 else { return sum }
            return sum + words[11...14].compactMap { Double($0) }.reduce(0, +) / 100
        }
    }

    public var log: String {
        (try? String(contentsOfFile: directory + "/log", encoding: .utf8)) ?? ""
    }

    public func remove() {
        signalAll(SIGCONT)
        stop(SIGQUIT)
        try? FileManager.default.removeItem(atPath: directory)
    }

    // MARK: Processes

    private static let binaries: String = {
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql"))
        guard let version = (versions ?? []).compactMap({ Int($0) }).max() else {
            fatalError("PostgreSQL is not installed: apt-get install postgresql")
        }
        return "/usr/lib/postgresql/\(version)/bin/"
    }()

    private static func command(_ words: [String], dyingWithUs: Bool = false) -> (URL?, [String]) {
        let isServer = ["postgres", "initdb"].contains(words[0])
        let program =
            FileManager.default.isExecutableFile(atPath: binaries + words[0])
            ? binaries + words[0] : "/usr/bin/" + words[0]
        var prefix: [String] = []
        if isServer, geteuid() == 0 {
            prefix = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        }
        if dyingWithUs { prefix.append("--pdeathsig=KILL") }
        if prefix.isEmpty { return (URL(fileURLWithPath: program), Array(words.dropFirst())) }
        return (URL(fileURLWithPath: "/usr/bin/setpriv"), prefix + [program] + words.dropFirst())
    }

    @discardableResult
    private static func run(_ words: [String]) -> String {
        let process = Process()
        let output = Pipe()
        (process.executableURL, process.arguments) = command(words)
        process.standardOutput = output
        // initdb looks for itself from where it stands.
        process.currentDirectoryURL = URL(fileURLWithPath: "/")
        launch(process)
        let text = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            fatalError("\(words.joined(separator: " ")): \(process.terminationStatus)")
        }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private static func status(_ words: [String]) -> Int32 {
        let process = Process()
        (process.executableURL, process.arguments) = command(words)
        launch(process)
        process.waitUntilExit()
        return process.terminationStatus
    }

    /// From one thread that lasts: the kernel ends a server that is to die with us when the thread
    /// ends that had started it.
    private static func launch(_ process: Process) {
        launcher.start(process)
    }

    private static let launcher = Launcher()

    /// Starts processes, one after another.
    private final class Launcher: @unchecked Sendable {
        private let condition = NSCondition()
        private var waiting: [Process] = []

        init() { Thread { [self] in work() }.start() }

        /// Returns when it runs.
        func start(_ process: Process) {
            condition.lock()
            waiting.append(process)
            condition.broadcast()
            while waiting.contains(where: { $0 === process }) { condition.wait() }
            condition.unlock()
        }

        private func work() {
            while true {
                condition.lock()
                while waiting.isEmpty { condition.wait() }
                let process = waiting[0]
                do { try process.run() } catch {
                    fatalError("\(process.executableURL as Any): \(error)")
                }
                waiting.removeFirst()
                condition.broadcast()
                condition.unlock()
            }
        }
    }

    private static func makeDirectory() -> String {
        var template = Array("/tmp/pollstream-postgres-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { fatalError("no temporary directory") }
        let path = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        _ = FileManager.default.createFile(atPath: path + "/log", contents: nil)
        if geteuid() == 0, let nobody = getpwnam("nobody") {
            chown(path, nobody.pointee.pw_uid, nobody.pointee.pw_gid)
        }
        return path
    }

    /// One that nobody listens on; it may be taken before it is used, which the caller would notice.
    /// Below 32768, where Linux takes the ports of outgoing connections from.
    public static func freePort() -> UInt16 {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        for _ in 0..<1000 {
            let port = UInt16.random(in: 15_000..<32_000)
            if withLoopback(port: port, { bind(listener, $0, $1) }) == 0 { return port }
        }
        fatalError("no free port")
    }
}

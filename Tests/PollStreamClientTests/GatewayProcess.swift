import Glibc
import Testing

/// The program itself, as an operator starts it: on a free port, with a database in a folder of its
/// own. Ended with the test.
final class GatewayProcess {
    let url: String
    private let process: pid_t
    private let errors: UnsafeMutablePointer<FILE>

    /// - Parameter listen: to come back where another one was.
    init(in folder: String, listen: String = "127.0.0.1:0", _ arguments: [String] = []) throws {
        let words =
            [
                try Self.path(), "serve", "--listen", listen, "--ops-listen", "off", "--database",
                "sqlite:\(folder)/polls.db", "--loops", "1", "--drain", "1s",
            ] + arguments
        var pipe: [Int32] = [0, 0]
        try #require(Glibc.pipe(&pipe) == 0)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, pipe[1], STDERR_FILENO)
        posix_spawn_file_actions_addclose(&actions, pipe[0])
        defer { posix_spawn_file_actions_destroy(&actions) }
        let pointers = words.map { strdup($0) } + [nil]
        defer { pointers.forEach { free($0) } }
        var process: pid_t = 0
        try #require(posix_spawn(&process, words[0], &actions, nil, pointers, environ) == 0)
        close(pipe[1])
        self.process = process
        errors = try #require(fdopen(pipe[0], "r"))
        var url = ""
        var line = [CChar](repeating: 0, count: 1024)
        while url.isEmpty, fgets(&line, 1024, errors) != nil {
            let text = String(
                decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            let word = "listening on "
            if text.hasPrefix(word) { url = String(text.dropFirst(word.count).dropLast()) }
        }
        self.url = url
        try #require(!url.isEmpty, "the gateway did not start")
    }

    var address: String { String(url.dropFirst("http://".count)) }

    /// SIGTERM, and waits for the end. - Returns: the exit code.
    @discardableResult func stop() -> Int32 {
        kill(process, SIGTERM)
        var status: Int32 = 0
        waitpid(process, &status, 0)
        return status >> 8
    }

    func killAtOnce() {
        kill(process, SIGKILL)
        var status: Int32 = 0
        waitpid(process, &status, 0)
    }

    deinit { fclose(errors) }

    /// Built beside the tests.
    private static func path() throws -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        try #require(count > 0)
        let executable = String(
            decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        for candidate in [executable] + CommandLine.arguments {
            guard let slash = candidate.lastIndex(of: "/") else { continue }
            // The product's name, or where only the target was linked, the target's.
            for name in ["pollstream", "PollStream"] {
                let path = candidate[..<slash] + "/" + name
                if access(String(path), X_OK) == 0 { return String(path) }
            }
        }
        try #require(Bool(false), "pollstream is not built")
        return ""
    }
}

/// A folder that is gone after the test.
func withFolder(_ body: (String) async throws -> Void) async throws {
    var template = Array("/tmp/pollstream-client-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    let folder = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    defer {
        for name in ["polls.db", "polls.db-wal", "polls.db-shm", "polls.db.lock"] {
            unlink("\(folder)/\(name)")
        }
        rmdir(folder)
    }
    try await body(folder)
}

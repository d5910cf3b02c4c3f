import Glibc
import Reactor

/// What the process asks of the machine it runs on.
enum Host {
    /// Cores this process may run on.
    static let coreCount = Loop.availableCores

    /// Bytes of memory: the machine's, or what the groups that the process is in allow where that is less.
    static var memoryBytes: UInt64 {
        let pages = UInt64(max(1, sysconf(Int32(_SC_PHYS_PAGES))))
        let machine = pages * UInt64(max(1, sysconf(Int32(_SC_PAGESIZE))))
        return min(machine, ControlGroup.memoryLimit ?? machine)
    }

    static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// The names of the process's environment, as it was at the start.
    static var variables: [String] {
        let entries = text(at: "/proc/self/environ")?.split(separator: "\0") ?? []
        return entries.compactMap { $0.split(separator: "=").first.map(String.init) }
    }

    /// The beginning of a file of the kernel's, which are short; nil where it cannot be read.
    static func text(at path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 16_384)
        let count = read(file, &bytes, bytes.count)
        return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    /// Ends the process now, without what runs at an orderly exit.
    static func exitAtOnce() -> Never { _exit(0) }

    /// Writes a line to standard error.
    static func say(_ line: String) {
        let text = line + "\n"
        // One write a line; a reader that is gone is no reason to stop.
        _ = text.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    }
}

extension String {
    func hashed(by hash: (UnsafeRawBufferPointer) -> [UInt8]) -> [UInt8] {
        var copy = self
        return copy.withUTF8 { hash(UnsafeRawBufferPointer($0)) }
    }
}

import Glibc
import Reactor

/// What the process asks of the machine it runs on.
enum Host {
    /// Cores this process may run on.
    static let coreCount = Loop.availableCores

    static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
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

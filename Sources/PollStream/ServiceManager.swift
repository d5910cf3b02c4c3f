import Glibc
import Threads

/// Tells systemd, or who stands in its place, how the process gets on: sd_notify(3), a datagram for
/// each word. Without `NOTIFY_SOCKET` nobody listens, and nothing is said.
struct ServiceManager: Sendable {
    private let socketPath: String?
    /// Nanoseconds within which it wants to hear that all is well; nil: it does not ask.
    let watchdogNanoseconds: Int64?

    init(environment: (String) -> String?, processID: Int32 = getpid()) {
        socketPath = environment("NOTIFY_SOCKET").flatMap { $0.isEmpty ? nil : $0 }
        let isForUs = environment("WATCHDOG_PID").map { $0 == "\(processID)" } ?? true
        let microseconds = environment("WATCHDOG_USEC").flatMap(Int64.init) ?? 0
        watchdogNanoseconds = isForUs && microseconds > 0 ? microseconds * 1_000 : nil
    }

    func ready(_ status: String) { tell("READY=1\nSTATUS=\(status)") }

    func stopping(_ status: String) { tell("STOPPING=1\nSTATUS=\(status)") }

    /// Until it is `ready` again.
    func reloading(atMonotonicNanoseconds now: Int64) {
        tell("RELOADING=1\nMONOTONIC_USEC=\(now / 1_000)")
    }

    func alive() { tell("WATCHDOG=1") }

    /// Who does not listen, or does not keep up, misses it: nothing here may wait for that.
    private func tell(_ state: String) {
        guard let socketPath, var address = sockaddr_un(notifyPath: socketPath) else { return }
        let descriptor = socket(
            AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let length = socklen_t(
            MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + socketPath.utf8.count)
        let bytes = Array(state.utf8)
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(
                    descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), $0,
                    length)
            }
        }
    }
}

extension sockaddr_un {
    /// - Parameter path: absolute, or an abstract name after `@` (unix(7)).
    /// - Returns: nil for anything else, and for what is too long.
    fileprivate init?(notifyPath path: String) {
        self.init()
        sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        guard bytes.count <= MemoryLayout.size(ofValue: sun_path) else { return nil }
        switch bytes.first {
        case UInt8(ascii: "/"): break
        case UInt8(ascii: "@"): bytes[0] = 0
        default: return nil
        }
        withUnsafeMutableBytes(of: &sun_path) { $0.copyBytes(from: bytes) }
    }
}

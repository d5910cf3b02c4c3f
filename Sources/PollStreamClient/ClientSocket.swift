import Glibc
import Threads

/// A blocking TCP connection with a limit for each call. For one thread.
final class ClientSocket {
    private let descriptor: Int32

    /// Connects to the first address of `host` that answers.
    /// - Parameter limit: for connecting to each address, and for a write.
    init(host: String, port: UInt16, limit: Duration) throws(ClientError) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, "\(port)", &hints, &found)
        guard code == 0 else {
            throw .unreachable("\(host): \(String(cString: gai_strerror(code)))")
        }
        defer { freeaddrinfo(found) }
        var reason = "\(host) has no address"
        var next = found
        while let candidate = next {
            let address = candidate.pointee
            next = address.ai_next
            let descriptor = socket(
                address.ai_family, address.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else {
                reason = String(cString: strerror(errno))
                continue
            }
            Self.setLimit(limit, SO_SNDTIMEO, of: descriptor)
            if connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 {
                var on: Int32 = 1
                setsockopt(
                    descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on,
                    socklen_t(MemoryLayout<Int32>.size))
                self.descriptor = descriptor
                return
            }
            reason = "\(host):\(port): \(String(cString: strerror(errno)))"
            close(descriptor)
        }
        throw .unreachable(reason)
    }

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) throws(ClientError) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(
                    descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .connectionLost(String(cString: strerror(errno))) }
            sent += count
        }
    }

    /// Appends what has come to `bytes`, once something has.
    /// - Returns: false where nothing came until `deadline`, monotonic nanoseconds.
    func receive(into bytes: inout [UInt8], until deadline: Int64) throws(ClientError) -> Bool {
        let wait = max(0, deadline - Clock.monotonicNanoseconds()) / 1_000_000
        var readable = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&readable, 1, Int32(clamping: wait)) > 0 else { return false }
        var piece = [UInt8](repeating: 0, count: 16_384)
        let count = recv(descriptor, &piece, piece.count, 0)
        if count < 0, errno == EINTR || errno == EAGAIN { return false }
        guard count > 0 else {
            throw .connectionLost(count == 0 ? "ended" : String(cString: strerror(errno)))
        }
        bytes += piece[..<count]
        return true
    }

    private static func setLimit(_ limit: Duration, _ option: Int32, of descriptor: Int32) {
        var time = timeval(
            tv_sec: Int(limit.components.seconds),
            tv_usec: Int(limit.components.attoseconds / 1_000_000_000_000))
        setsockopt(
            descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
    }
}

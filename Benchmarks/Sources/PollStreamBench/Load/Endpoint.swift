import ArgumentParser
import CLoad
import Glibc

/// `http://A.B.C.D:PORT` or `ws://A.B.C.D:PORT`. Names are not resolved: what is measured should not depend on DNS.
struct Endpoint: ExpressibleByArgument, CustomStringConvertible, Equatable {
    let address: UInt32
    let port: UInt16

    init?(argument: String) {
        var text = Substring(argument)
        for scheme in ["http://", "ws://"] where text.hasPrefix(scheme) {
            text.removeFirst(scheme.count)
        }
        if text.hasSuffix("/") {
            text.removeLast()
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let port = UInt16(parts[1]), port > 0 else { return nil }
        var binary = in_addr()
        guard inet_pton(AF_INET, String(parts[0]), &binary) == 1 else { return nil }
        self.address = UInt32(bigEndian: binary.s_addr)
        self.port = port
    }

    var host: String {
        [24, 16, 8, 0].map { String(address >> UInt32($0) & 255) }.joined(separator: ".")
            + ":\(port)"
    }

    var description: String { "http://\(host)" }

    var takesConnections: Bool {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        return connect(socket) == 0
    }

    /// As connect(2).
    func connect(_ socket: Int32) -> Int32 {
        var binary = sockaddr_in()
        binary.sin_family = sa_family_t(AF_INET)
        binary.sin_port = port.bigEndian
        binary.sin_addr.s_addr = address.bigEndian
        return withUnsafePointer(to: &binary) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    func target(sources: Int) -> ld_target {
        ld_target(address: address, port: port, source_address_count: UInt16(sources))
    }
}

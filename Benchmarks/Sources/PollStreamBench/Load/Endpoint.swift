import ArgumentParser
import CLoad
import Glibc

/// `http://A.B.C.D:PORT`. Names are not resolved: what is measured should not depend on DNS.
struct Endpoint: ExpressibleByArgument, CustomStringConvertible, Equatable {
    let address: UInt32
    let port: UInt16

    init?(argument: String) {
        var text = Substring(argument)
        if text.hasPrefix("http://") {
            text.removeFirst("http://".count)
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

    func target(sources: Int) -> ld_target {
        ld_target(address: address, port: port, source_address_count: UInt16(sources))
    }
}

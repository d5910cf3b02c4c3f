package import Glibc

/// Calls bind(2) or connect(2) with 127.0.0.1. - Returns: what that returned.
package func withLoopback(
    port: UInt16, _ call: (UnsafePointer<sockaddr>, socklen_t) -> Int32
) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            call($0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}

/// Stops silently where the peer has closed.
package func sendAll(_ bytes: [UInt8], to descriptor: Int32) {
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes {
            send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count <= 0 { return }
        rest = rest.dropFirst(count)
    }
}

/// A frame as servers send them, unmasked.
package struct ReceivedFrame: Equatable {
    package let opcode: UInt8
    package let payload: [UInt8]
    /// RSV1.
    package let isCompressed: Bool

    package init(opcode: UInt8, payload: [UInt8], isCompressed: Bool = false) {
        self.opcode = opcode
        self.payload = payload
        self.isCompressed = isCompressed
    }

    /// Takes the first frame off `unread`, once all of it is there.
    package init?(takenFrom unread: inout [UInt8]) {
        guard unread.count >= 2 else { return nil }
        precondition(unread[1] & 0x80 == 0, "a server's frame is never masked")
        var start = 2
        var count = Int(unread[1])
        if count >= 126 {
            start = count == 126 ? 4 : 10
            guard unread.count >= start else { return nil }
            count = unread[2..<start].reduce(0) { $0 << 8 | Int($1) }
        }
        guard unread.count >= start + count else { return nil }
        self.init(
            opcode: unread[0] & 0x0f, payload: Array(unread[start..<start + count]),
            isCompressed: unread[0] & 0x40 != 0)
        unread.removeFirst(start + count)
    }

    /// Of a Close frame that has one.
    package var closeCode: Int? {
        opcode == 8 && payload.count >= 2 ? Int(payload[0]) << 8 | Int(payload[1]) : nil
    }
}

import CReactor
import CWire
import Glibc

/// Names a connection of one loop; a stale one finds nothing.
package struct ConnectionID: Hashable, Sendable {
    let rawValue: UInt64

    init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// Dense, and used again after a close: an index for tables kept beside the loop.
    package var slot: Int { Int(UInt32(truncatingIfNeeded: rawValue)) }
}

/// A request with its whole body, borrowed for the duration of the callback.
package struct Request: ~Copyable {
    private let raw: UnsafePointer<ps_request>
    private let head: UnsafePointer<ps_http_head>

    init(_ raw: UnsafePointer<ps_request>) {
        self.raw = raw
        head = raw.pointee.head
    }

    package enum Method: Sendable {
        case get, head, post, put, patch, delete, options, connect, trace, other
    }

    package var method: Method {
        switch head.pointee.method {
        case PS_HTTP_GET: .get
        case PS_HTTP_HEAD: .head
        case PS_HTTP_POST: .post
        case PS_HTTP_PUT: .put
        case PS_HTTP_PATCH: .patch
        case PS_HTTP_DELETE: .delete
        case PS_HTTP_OPTIONS: .options
        case PS_HTTP_CONNECT: .connect
        case PS_HTTP_TRACE: .trace
        default: .other
        }
    }

    /// Still percent-encoded.
    package var path: UnsafeRawBufferPointer { UnsafeRawBufferPointer(head.pointee.path) }
    package var query: UnsafeRawBufferPointer { UnsafeRawBufferPointer(head.pointee.query) }
    package var host: UnsafeRawBufferPointer { UnsafeRawBufferPointer(head.pointee.host) }
    package var body: UnsafeRawBufferPointer { UnsafeRawBufferPointer(raw.pointee.body) }

    /// Names this request when it is answered.
    package var sequence: UInt32 { raw.pointee.sequence }
    package var listener: ListenerKind {
        raw.pointee.listener_kind == UInt8(PS_LISTENER_OPS.rawValue) ? .operations : .publicAPI
    }

    /// When its last byte was read, Unix milliseconds.
    package var receivedUnixMilliseconds: Int64 { raw.pointee.received_unix_ms }

    package var peer: PeerAddress { PeerAddress(bytes: raw.pointee.peer_address) }

    /// The value of the first field of this name (lower case), trimmed.
    package func field(_ name: StaticString) -> UnsafeRawBufferPointer? {
        let value = name.withUTF8Buffer { buffer in
            buffer.withMemoryRebound(to: CChar.self) {
                ps_http_find(head, $0.baseAddress)
            }
        }
        return value.start == nil ? nil : UnsafeRawBufferPointer(value)
    }

    /// The value of the last field of this name (lower case) but `skipped`.
    package func lastField(_ name: StaticString, skipping skipped: Int) -> UnsafeRawBufferPointer? {
        let value = name.withUTF8Buffer { buffer in
            buffer.withMemoryRebound(to: CChar.self) {
                ps_http_find_last(head, $0.baseAddress, UInt32(skipped))
            }
        }
        return value.start == nil ? nil : UnsafeRawBufferPointer(value)
    }

    /// How often a field of this name (lower case) occurs.
    package func fieldCount(_ name: StaticString) -> Int {
        name.withUTF8Buffer { buffer in
            buffer.withMemoryRebound(to: CChar.self) {
                Int(ps_http_count(head, $0.baseAddress))
            }
        }
    }

    package enum Handshake: Equatable {
        case none
        case valid
        /// To be answered with this status: 400, 405 or 426.
        case invalid(status: Int)
    }

    /// Whether this is a WebSocket handshake (RFC 6455 §4.2.1), but for origin and path.
    package var handshake: Handshake {
        switch ps_ws_check_handshake(head) {
        case 0: .none
        case 101: .valid
        case let status: .invalid(status: Int(status))
        }
    }
}

/// A whole WebSocket message, borrowed for the duration of the callback.
package struct Message {
    package let payload: UnsafeRawBufferPointer
    /// Text is valid UTF-8; else the message was binary.
    package let isText: Bool
    package let receivedUnixMilliseconds: Int64
}

/// IPv6, or IPv4 mapped into it (RFC 4291 §2.5.5.2).
package struct PeerAddress: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    init(
        bytes: (
            UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8,
            UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8
        )
    ) {
        (high, low) = withUnsafeBytes(of: bytes) {
            (
                UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
    }

    /// As people write it: `192.0.2.1`, `2001:db8::1`. - Returns: nil for anything else.
    package init?(_ text: String) {
        var ipv4 = in_addr()
        if inet_pton(AF_INET, text, &ipv4) == 1 {
            self.init(high: 0, low: 0xffff << 32 | UInt64(UInt32(bigEndian: ipv4.s_addr)))
            return
        }
        var ipv6 = in6_addr()
        guard inet_pton(AF_INET6, text, &ipv6) == 1 else { return nil }
        self = withUnsafeBytes(of: &ipv6) {
            PeerAddress(
                high: UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                low: UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        }
    }

    package var isIPv4: Bool { high == 0 && low >> 32 == 0xffff }
}

extension UnsafeRawBufferPointer {
    init(_ bytes: ps_bytes) { self.init(start: bytes.start, count: bytes.count) }
}

extension ps_bytes {
    init(_ buffer: UnsafeRawBufferPointer) {
        self.init(
            start: buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), count: buffer.count)
    }
}

import CReactor
import CWire

/// What a loop needs to know; PROTOCOL's limits are the defaults.
package struct LoopSettings: Sendable {
    package var tickNanoseconds: UInt64 = 50_000_000
    package var sweepSliceCount: UInt32 = 256
    /// Whether sweeps are submitted through io_uring; see `FanOut`.
    package var usesURing = false
    package var headerTimeoutMilliseconds: UInt32 = 10_000
    package var bodyTimeoutMilliseconds: UInt32 = 20_000
    package var idleTimeoutMilliseconds: UInt32 = 60_000
    package var closeTimeoutMilliseconds: UInt32 = 2_000
    package var pingPeriodMilliseconds: UInt32 = 25_000
    package var requestLineBytes: UInt32 = 8 << 10
    package var headBytes: UInt32 = 16 << 10
    package var headerFieldCount: UInt32 = 100
    package var bodyBytes: UInt32 = 64 << 10
    package var messageBytes: UInt64 = 64 << 10
    package var messageFragmentCount: UInt32 = 128
    /// Bytes of a message from which on it is compressed for who takes that (permessage-deflate);
    /// nil: nobody is offered it.
    package var compressAboveBytes: UInt32? = 1 << 10
    package var subscriptionCount: UInt32 = 128
    package var outboxBytes: UInt32 = 256 << 10
    package var pipelineCount: UInt32 = 64
    package var socketSendBufferBytes: UInt32 = 16 << 10
    /// Whether a load balancer says who its clients are, and how long it may take to.
    package var proxyMode = ProxyMode.off
    package var proxyTimeoutMilliseconds: UInt32 = 3_000
    /// Who may say so.
    package var trustedProxies: [Network] = []
    /// What public listeners speak TLS with; nil: they do not.
    package var tls: TLSContext?
    package var tlsTimeoutMilliseconds: UInt32 = 10_000
    /// A whole HTTP response for whoever comes past the connection limit.
    package var overloadResponse: [UInt8] = []

    package init() {}

    func withCSettings<R>(budget: ConnectionBudget, _ body: (inout ps_loop_settings) -> R) -> R {
        let trusted = trustedProxies.map(\.raw)
        return overloadResponse.withUnsafeBytes { overload in
            var settings = ps_loop_settings(
                tick_ns: tickNanoseconds,
                sweep_slice_count: sweepSliceCount,
                uses_uring: usesURing,
                header_timeout_ms: headerTimeoutMilliseconds,
                body_timeout_ms: bodyTimeoutMilliseconds,
                idle_timeout_ms: idleTimeoutMilliseconds,
                close_timeout_ms: closeTimeoutMilliseconds,
                ping_period_ms: pingPeriodMilliseconds,
                http: ps_http_limits(
                    request_line_bytes: requestLineBytes, head_bytes: headBytes,
                    field_count: headerFieldCount),
                body_bytes: bodyBytes,
                websocket: ps_ws_limits(
                    message_bytes: messageBytes, fragment_count: messageFragmentCount),
                compress_above: compressAboveBytes ?? .max,
                subscription_count: subscriptionCount,
                outbox_bytes: outboxBytes,
                pipeline_count: pipelineCount,
                socket_send_buffer_bytes: socketSendBufferBytes,
                proxy_mode: proxyMode.rawValue,
                proxy_timeout_ms: proxyTimeoutMilliseconds,
                trusted: nil,
                trusted_count: trusted.count,
                tls: tls?.handle,
                tls_timeout_ms: tlsTimeoutMilliseconds,
                budget: budget.handle,
                overload_response: ps_bytes(overload))
            return trusted.withUnsafeBufferPointer { trusted in
                settings.trusted = trusted.baseAddress
                return body(&settings)
            }
        }
    }
}

/// The PROXY protocol on public listeners.
package enum ProxyMode: UInt8, Sendable {
    case off = 0
    /// From a trusted peer, where its first bytes are a header.
    case optional = 1
    /// From trusted peers only, and always.
    case required = 2
}

/// All addresses that begin like one: `10.0.0.0/8`, `fd00::/8`, or one alone.
package struct Network: Hashable, Sendable {
    let address: PeerAddress
    /// 0 to 128, of IPv6; an IPv4 network's are 96 more.
    let prefixBits: UInt8

    /// - Returns: nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let first = parts.first, parts.count <= 2,
            let address = PeerAddress(String(first))
        else { return nil }
        let mostBits: UInt8 = address.isIPv4 ? 32 : 128
        var bits = mostBits
        if parts.count == 2 {
            guard let given = UInt8(parts[1]), given <= mostBits, String(given) == parts[1] else {
                return nil
            }
            bits = given
        }
        self.address = address
        prefixBits = bits + (address.isIPv4 ? 96 : 0)
    }

    package func contains(_ other: PeerAddress) -> Bool {
        let highBits = UInt64(min(prefixBits, 64))
        let lowBits = UInt64(prefixBits) - highBits
        func differ(_ one: UInt64, _ other: UInt64, in bits: UInt64) -> Bool {
            bits > 0 && (one ^ other) >> (64 - bits) != 0
        }
        return !differ(address.high, other.high, in: highBits)
            && !differ(address.low, other.low, in: lowBits)
    }

    fileprivate var raw: ps_network {
        var network = ps_network()
        withUnsafeMutableBytes(of: &network.address) {
            $0.storeBytes(of: address.high.bigEndian, as: UInt64.self)
            $0.storeBytes(of: address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
        network.prefix_bits = prefixBits
        return network
    }
}

/// The connections of one process, and the memory of their buffers: counted over all loops, each against
/// a limit.
package final class ConnectionBudget: @unchecked Sendable {
    // The C side counts with atomics.
    let handle: OpaquePointer

    /// Bytes that all buffers may hold together.
    package let bufferLimit: UInt64

    /// - Parameters:
    ///   - connectionLimit: past it who comes is told so, and closed.
    ///   - bufferLimit: in bytes; past it work is turned away.
    package init(connectionLimit: UInt32, bufferLimit: UInt64 = .max) {
        guard let handle = ps_budget_create(connectionLimit, bufferLimit) else {
            preconditionFailure("not enough memory for a counter")
        }
        self.handle = handle
        self.bufferLimit = bufferLimit
    }

    deinit { ps_budget_destroy(handle) }

    package var connectionCount: Int { Int(ps_budget_connections(handle)) }

    /// Bytes that the buffers of all connections hold at this moment.
    package var bufferBytes: UInt64 { ps_budget_buffer_bytes(handle) }

    /// More than three quarters of the limit: what can be made again is not kept.
    package var isShort: Bool { ps_budget_is_short(handle) }

    /// Counts what is about to be held for an answer under way, until it is released.
    /// - Returns: false where memory is short, and nothing is counted.
    package func reserve(bytes: Int) -> Bool { ps_budget_reserve(handle, UInt64(bytes)) }

    package func release(bytes: Int) { ps_budget_release(handle, UInt64(bytes)) }

    /// Raises the soft RLIMIT_NOFILE to the hard one and returns what is in force.
    package static func raiseDescriptorLimit() -> UInt64 { ps_raise_descriptor_limit() }
}

extension Loop {
    /// Cores this process may run on, at least 1.
    package static var availableCores: Int { Int(ps_available_cores()) }

    /// Connections that may wait for a loop on each address it listens on.
    package static var acceptQueueLength: Int { Int(PS_ACCEPT_QUEUE_LENGTH) }
}

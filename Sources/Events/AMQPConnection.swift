import CRabbitMQ
import Glibc
import Threads

/// A connection to a broker with one channel in confirm mode (AMQP 0-9-1). Blocks, with a limit for
/// each call. For one thread; the only place that knows librabbitmq. After an error it is of no more
/// use.
final class AMQPConnection {
    /// Why it cannot be used.
    struct Failure: Error, Equatable {
        let reason: String
    }

    /// What the broker says of messages; they are counted from 1 on.
    enum Confirm: Equatable {
        case taken(UInt64, andAllBefore: Bool)
        case refused
    }

    /// For connecting, and for each answer that is waited for. A send ends with the heartbeats: two
    /// periods after the broker has last said anything.
    static let limit = timeval(tv_sec: 5, tv_usec: 0)
    private static let heartbeatSeconds: Int32 = 10
    private static let channel: amqp_channel_t = 1

    private let state: amqp_connection_state_t

    /// Connects, proves who it is, makes the exchange where it is missing, and asks for confirms.
    init(_ target: AMQPTarget, exchange: String) throws(Failure) {
        guard let state = amqp_new_connection() else { throw Failure(reason: "out of memory") }
        self.state = state
        var limit = Self.limit
        amqp_set_handshake_timeout(state, &limit)
        amqp_set_rpc_timeout(state, &limit)
        try openSocket(target)
        try check(
            ps_amqp_login(
                state, target.vhost, Self.heartbeatSeconds, target.user, target.password), "login")
        try openChannel()
        try declare(exchange)
        amqp_confirm_select(state, Self.channel)
        try check(amqp_get_rpc_reply(state), "confirms")
    }

    deinit {
        // Closes the socket; what it could still say would only be waited for.
        amqp_destroy_connection(state)
    }

    private func openSocket(_ target: AMQPTarget) throws(Failure) {
        var limit = Self.limit
        let socket: OpaquePointer?
        if let authorities = target.authorities {
            socket = amqp_ssl_socket_new(state)
            guard let socket else { throw Failure(reason: "TLS: out of memory") }
            guard amqp_ssl_socket_set_cacert(socket, authorities) == 0 else {
                throw Failure(reason: "TLS: \(authorities) holds no certificates")
            }
            amqp_ssl_socket_set_verify_peer(socket, 1)
            amqp_ssl_socket_set_verify_hostname(socket, 1)
            amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST)
        } else {
            socket = amqp_tcp_socket_new(state)
            guard socket != nil else { throw Failure(reason: "out of memory") }
        }
        try check(amqp_socket_open_noblock(socket, target.host, target.port, &limit), "connect")
    }

    private func openChannel() throws(Failure) {
        amqp_channel_open(state, Self.channel)
        try check(amqp_get_rpc_reply(state), "channel")
    }

    /// One that is there is taken as it is, whoever made it: asking takes no right to make one.
    private func declare(_ exchange: String) throws(Failure) {
        if declare(exchange, onlyIfThere: true).reply_type == AMQP_RESPONSE_NORMAL { return }
        // The broker has closed the channel, or the connection, which the next word finds out.
        try check(ps_amqp_close_channel(state, Self.channel), "channel")
        try openChannel()
        try check(declare(exchange, onlyIfThere: false), "exchange \(exchange)")
    }

    private func declare(_ exchange: String, onlyIfThere: Bool) -> amqp_rpc_reply_t {
        withBytes(exchange) { name in
            withBytes("direct") { kind in
                amqp_exchange_declare(
                    state, Self.channel, name, kind, onlyIfThere ? 1 : 0, 1, 0, 0,
                    amqp_empty_table)
                return amqp_get_rpc_reply(state)
            }
        }
    }

    // MARK: Messages

    /// Hands a message over; whether it was taken is said later. May block until the broker reads.
    func publish(_ message: EventMessage, to exchange: String) throws(Failure) {
        var properties = amqp_basic_properties_t()
        properties._flags =
            amqp_flags_t(AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG)
            | amqp_flags_t(AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_APP_ID_FLAG)
        properties.delivery_mode = UInt8(AMQP_DELIVERY_PERSISTENT.rawValue)
        let code = withBytes("application/json") { type in
            withBytes(message.id) { id in
                withBytes("pollstream") { app in
                    withBytes(exchange) { exchange in
                        withBytes(message.key.rawValue) { key in
                            message.body.withUnsafeBytes { body in
                                properties.content_type = type
                                properties.message_id = id
                                properties.app_id = app
                                return amqp_basic_publish(
                                    state, Self.channel, exchange, key, 0, 0, &properties,
                                    amqp_bytes_t(body))
                            }
                        }
                    }
                }
            }
        }
        try check(code, "publish")
    }

    /// Waits for the next word of the broker, and keeps the connection alive meanwhile.
    /// - Parameter milliseconds: 0 takes what is there.
    /// - Returns: nil where it has said nothing of messages in time.
    func confirm(within milliseconds: Int) throws(Failure) -> Confirm? {
        amqp_maybe_release_buffers(state)
        let deadline = Clock.monotonicNanoseconds() + Int64(milliseconds) * 1_000_000
        while true {
            let rest = max(0, deadline - Clock.monotonicNanoseconds())
            var time = timeval(
                tv_sec: Int(rest / 1_000_000_000), tv_usec: Int(rest % 1_000_000_000 / 1_000))
            var frame = amqp_frame_t()
            let code = amqp_simple_wait_frame_noblock(state, &frame, &time)
            if code == AMQP_STATUS_TIMEOUT.rawValue { return nil }
            try check(code, "confirm")
            guard frame.frame_type == AMQP_FRAME_METHOD else { continue }
            if let confirm = try take(frame.payload.method) { return confirm }
        }
    }

    private func take(_ method: amqp_method_t) throws(Failure) -> Confirm? {
        switch method.id {
        case PS_AMQP_ACK:
            let ack = method.decoded.assumingMemoryBound(to: amqp_basic_ack_t.self).pointee
            return .taken(ack.delivery_tag, andAllBefore: ack.multiple != 0)
        case PS_AMQP_NACK: return .refused
        case PS_AMQP_CHANNEL_CLOSE, PS_AMQP_CONNECTION_CLOSE:
            throw Failure(reason: Self.reason(method))
        default: return nil  // for instance that the broker is short of memory, or no longer
        }
    }

    // MARK: Failures

    private func check(_ code: Int32, _ what: String) throws(Failure) {
        if code == AMQP_STATUS_OK.rawValue { return }
        throw Failure(reason: "\(what): \(String(cString: amqp_error_string2(code)))")
    }

    private func check(_ reply: amqp_rpc_reply_t, _ what: String) throws(Failure) {
        switch reply.reply_type {
        case AMQP_RESPONSE_NORMAL: return
        case AMQP_RESPONSE_SERVER_EXCEPTION:
            throw Failure(reason: "\(what): \(Self.reason(reply.reply))")
        default:
            let code = reply.library_error
            throw Failure(reason: "\(what): \(String(cString: amqp_error_string2(code)))")
        }
    }

    /// Why the broker closes; it repeats a user's name at most.
    private static func reason(_ method: amqp_method_t) -> String {
        let text: amqp_bytes_t
        switch method.id {
        case PS_AMQP_CHANNEL_CLOSE:
            text =
                method.decoded.assumingMemoryBound(to: amqp_channel_close_t.self).pointee
                .reply_text
        case PS_AMQP_CONNECTION_CLOSE:
            text =
                method.decoded.assumingMemoryBound(to: amqp_connection_close_t.self).pointee
                .reply_text
        default: return "the broker closed the connection"
        }
        let bytes = UnsafeRawBufferPointer(start: text.bytes, count: text.len)
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension amqp_bytes_t {
    /// Borrowed; the library only reads.
    fileprivate init(_ buffer: UnsafeRawBufferPointer) {
        self.init(
            len: buffer.count, bytes: UnsafeMutableRawPointer(mutating: buffer.baseAddress))
    }
}

private func withBytes<R>(_ text: String, _ body: (amqp_bytes_t) -> R) -> R {
    var text = text
    return text.withUTF8 { body(amqp_bytes_t(UnsafeRawBufferPointer($0))) }
}

import CWire
import Threads

/// The client's end of a WebSocket (RFC 6455), without extensions. For one thread.
final class ClientWebSocket {
    private let socket: ClientSocket
    private var inbox: [UInt8] = []
    /// When the peer last sent something, if only a ping; monotonic nanoseconds.
    private(set) var lastWord = Clock.monotonicNanoseconds()
    /// A message that comes in several frames.
    private var assembly: [UInt8] = []
    private var message = ps_ws_message()
    private static let limits = ps_ws_limits(message_bytes: 4 << 20, fragment_count: 4096)

    enum Arrival: Equatable {
        case message([UInt8])
        /// The peer closes; nothing comes after it.
        case close(code: UInt16)
    }

    /// Connects and shakes hands. - Parameter token: sent as the subprotocol `bearer.`, never in a URL.
    init(
        at endpoint: Endpoint, path: String, token: String?, limit: Duration
    ) throws(ClientError) {
        socket = try ClientSocket(host: endpoint.host, port: endpoint.port, limit: limit)
        let key = Self.key()
        var text = "GET \(path) HTTP/1.1\r\nHost: \(endpoint.authority)\r\n"
        text += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        text += "Sec-WebSocket-Key: \(key)\r\nSec-WebSocket-Protocol: pollstream.v1"
        if let token { text += ", bearer.\(token)" }
        try socket.send(Array((text + "\r\n\r\n").utf8))
        let deadline = Clock.monotonicNanoseconds() + limit.nanoseconds
        var head: ResponseHead?
        while head == nil {
            guard Clock.monotonicNanoseconds() < deadline else { throw .timedOut }
            _ = try socket.receive(into: &inbox, until: deadline)
            head = try ResponseHead(inbox)
        }
        guard let head else { throw .timedOut }
        inbox.removeFirst(head.byteCount)
        guard head.status == 101 else {
            throw .refused(
                status: head.status, code: "handshake_refused",
                message: "The gateway opens no WebSocket.",
                retryAfterSeconds: head.fields["retry-after"].flatMap { Int($0) })
        }
        guard head.fields["sec-websocket-accept"] == Self.answer(to: key) else {
            throw .protocolViolated("Sec-WebSocket-Accept is not the answer to our key")
        }
    }

    func send(text: String) throws(ClientError) {
        try send(PS_WS_TEXT, Array(text.utf8))
    }

    func sendClose(_ code: UInt16) throws(ClientError) {
        try send(PS_WS_CLOSE, [UInt8(code >> 8), UInt8(code & 255)])
    }

    /// Answers pings meanwhile. - Returns: nil where nothing whole came until `deadline`.
    func receive(until deadline: Int64) throws(ClientError) -> Arrival? {
        while true {
            while let frame = try nextFrame() {
                if let arrival = try take(frame) { return arrival }
            }
            guard try socket.receive(into: &inbox, until: deadline) else { return nil }
            lastWord = Clock.monotonicNanoseconds()
        }
    }

    // MARK: Frames

    private typealias Frame = (header: ps_ws_header, payload: [UInt8])

    private func nextFrame() throws(ClientError) -> Frame? {
        var header = ps_ws_header()
        switch ps_ws_parse_server_header(&header, inbox, inbox.count) {
        case Int32(PS_PARTIAL.rawValue): return nil
        case Int32(PS_DONE.rawValue): break
        default: throw .protocolViolated("a malformed frame")
        }
        guard header.payload_bytes <= Self.limits.message_bytes else {
            throw .protocolViolated("a frame of \(header.payload_bytes) bytes")
        }
        let end = Int(header.header_bytes) + Int(header.payload_bytes)
        guard inbox.count >= end else { return nil }
        defer { inbox.removeFirst(end) }
        return (header, Array(inbox[Int(header.header_bytes)..<end]))
    }

    private func take(_ frame: Frame) throws(ClientError) -> Arrival? {
        switch UInt32(frame.header.opcode) {
        case PS_WS_PING.rawValue:
            try send(PS_WS_PONG, frame.payload)
            return nil
        case PS_WS_PONG.rawValue: return nil
        case PS_WS_CLOSE.rawValue:
            var code: UInt16 = 0
            guard ps_ws_parse_close(&code, frame.payload, frame.payload.count) == 0 else {
                throw .protocolViolated("a malformed close")
            }
            try sendClose(code)
            return .close(code: code)
        default: return try takeData(frame).map { .message($0) }
        }
    }

    private func takeData(_ frame: Frame) throws(ClientError) -> [UInt8]? {
        var header = frame.header
        var limits = Self.limits
        var isComplete = false
        guard ps_ws_message_begin_frame(&message, &header, &limits) == 0,
            ps_ws_message_feed(&message, frame.payload, frame.payload.count) == 0,
            ps_ws_message_end_frame(&message, &header, &isComplete) == 0
        else { throw .protocolViolated("a malformed message") }
        assembly += frame.payload
        guard isComplete else { return nil }
        message = ps_ws_message()
        defer { assembly = [] }
        return assembly
    }

    private func send(_ opcode: ps_ws_opcode, _ payload: [UInt8]) throws(ClientError) {
        let mask = (0..<4).map { _ in UInt8.random(in: .min ... .max) }
        var head = [UInt8](repeating: 0, count: Int(PS_WS_CLIENT_HEADER_BYTES_MAX))
        let count = ps_ws_write_client_header(
            &head, UInt8(opcode.rawValue), UInt64(payload.count), mask)
        var masked = payload
        ps_ws_unmask(&masked, masked.count, mask, 0)
        try socket.send(head[..<count] + masked)
    }

    // MARK: Handshake

    /// 16 random bytes in base64 (RFC 6455 §4.1): 21 digits, one of four bits, and padding.
    private static func key() -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        let last = Array("AQgw")
        return String((0..<21).map { _ in digits.randomElement()! } + [last.randomElement()!])
            + "=="
    }

    private static func answer(to key: String) -> String {
        var key = key
        return key.withUTF8 { key in
            var answer = [CChar](repeating: 0, count: Int(PS_WS_ACCEPT_BYTES))
            ps_ws_accept_key(&answer, ps_bytes(start: key.baseAddress, count: key.count))
            return String(decoding: answer.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }
}

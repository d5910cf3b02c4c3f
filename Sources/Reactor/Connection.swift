import CReactor
import CWire

/// What becomes of something sent to a connection.
package enum SendResult {
    case sent
    /// The connection is gone, or closing.
    case gone
    /// Past the outbox limit: a stream waits for `isWritable`, a WebSocket is being closed.
    case full

    init(_ code: Int32) {
        switch code {
        case PS_OK.rawValue: self = .sent
        case PS_FULL.rawValue: self = .full
        default: self = .gone
        }
    }
}

/// An HTTP answer. Status line, Date, Content-Length and Connection are the reactor's.
package struct Response {
    package var status: Int
    /// `Name: value\r\n` each.
    package var fields: [UInt8]
    package var body: [UInt8]
    /// Say `Connection: close`, and close afterwards.
    package var closes: Bool

    package init(status: Int, fields: [UInt8] = [], body: [UInt8] = [], closes: Bool = false) {
        self.status = status
        self.fields = fields
        self.body = body
        self.closes = closes
    }

    func withCResponse<R>(_ body: (inout ps_response) -> R) -> R {
        fields.withUnsafeBytes { fieldBytes in
            self.body.withUnsafeBytes { bodyBytes in
                var response = ps_response(
                    status: UInt16(status), fields: ps_bytes(fieldBytes), body: ps_bytes(bodyBytes),
                    close: closes)
                return body(&response)
            }
        }
    }
}

/// Connections of this loop, by id.
extension Loop {
    /// Answers a request; answers leave in the order of the requests, whatever the order of calls.
    @discardableResult
    package func respond(to connection: ConnectionID, sequence: UInt32, with response: Response)
        -> SendResult
    {
        response.withCResponse {
            SendResult(ps_connection_respond(handle, connection.rawValue, sequence, &$0))
        }
    }

    /// How the end of a streamed body is told.
    package enum StreamFraming: Sendable {
        case chunked
        /// Raw bytes until the close, so that a topic can serve it.
        case untilClose
    }

    /// Answers with a body that follows in pieces.
    /// - Parameters:
    ///   - connection: that the request came over.
    ///   - sequence: of the request.
    ///   - head: status and fields; its own body comes first.
    ///   - framing: how the body ends.
    ///   - ping: sent every ping period.
    /// - Returns: false where another request of this connection is still unanswered.
    package func stream(
        to connection: ConnectionID, sequence: UInt32, head: Response, framing: StreamFraming,
        ping: StaticString? = nil
    ) -> Bool {
        let pingBytes =
            ping.map { ps_bytes(start: $0.utf8Start, count: $0.utf8CodeUnitCount) }
            ?? ps_bytes(start: nil, count: 0)
        return head.withCResponse {
            ps_connection_stream(
                handle, connection.rawValue, sequence, &$0,
                framing == .chunked ? PS_STREAM_CHUNKED : PS_STREAM_UNTIL_CLOSE, pingBytes)
        } == PS_OK.rawValue
    }

    package func write(_ bytes: UnsafeRawBufferPointer, toStream connection: ConnectionID)
        -> SendResult
    {
        SendResult(
            ps_connection_stream_write(
                handle, connection.rawValue, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
                bytes.count))
    }

    package func endStream(_ connection: ConnectionID) {
        _ = ps_connection_stream_end(handle, connection.rawValue)  // gone is ended as well
    }

    /// Switches to WebSocket. Only while its handshake is being received.
    /// - Parameters:
    ///   - connection: that the handshake came over.
    ///   - sequence: of the handshake.
    ///   - fields: `Name: value\r\n` each.
    /// - Returns: false where an earlier request of this connection is still unanswered.
    package func upgrade(_ connection: ConnectionID, sequence: UInt32, fields: [UInt8]) -> Bool {
        fields.withUnsafeBytes {
            ps_connection_upgrade(handle, connection.rawValue, sequence, ps_bytes($0))
        } == PS_OK.rawValue
    }

    /// Sends one text message over a WebSocket, or raw bytes over a stream.
    @discardableResult
    package func send(text: UnsafeRawBufferPointer, to connection: ConnectionID) -> SendResult {
        SendResult(
            ps_connection_send_text(
                handle, connection.rawValue, text.baseAddress?.assumingMemoryBound(to: UInt8.self),
                text.count))
    }

    @discardableResult
    package func send(binary: UnsafeRawBufferPointer, to connection: ConnectionID) -> SendResult {
        SendResult(
            ps_connection_send_binary(
                handle, connection.rawValue,
                binary.baseAddress?.assumingMemoryBound(to: UInt8.self),
                binary.count))
    }

    @discardableResult
    package func send(_ frame: borrowing Frame, to connection: ConnectionID) -> SendResult {
        SendResult(ps_connection_send_frame(handle, connection.rawValue, frame.handle))
    }

    /// Closes: a WebSocket with a Close frame, anything else once its outbox is sent.
    package func close(_ connection: ConnectionID, code: UInt16, reason: String = "") {
        _ = ps_connection_close(handle, connection.rawValue, code, reason)  // gone is closed
    }

    /// What a connection speaks by now.
    package enum ConnectionKind { case http, webSocket, stream }

    /// nil where it is gone.
    package func kind(of connection: ConnectionID) -> ConnectionKind? {
        switch ps_connection_kind_of(handle, connection.rawValue) {
        case Int32(PS_KIND_HTTP.rawValue): .http
        case Int32(PS_KIND_WEBSOCKET.rawValue): .webSocket
        case Int32(PS_KIND_STREAM.rawValue): .stream
        default: nil
        }
    }

    /// Topics it is subscribed to; nil where it is gone.
    package func subscriptionCount(of connection: ConnectionID) -> Int? {
        let count = ps_connection_subscription_count(handle, connection.rawValue)
        return count < 0 ? nil : Int(count)
    }

    /// Whether what waits to be sent to it is at most `bytes`; nil where it is gone.
    package func hasUnsent(atMost bytes: UInt32, to connection: ConnectionID) -> Bool? {
        let unsent = ps_connection_unsent(handle, connection.rawValue, bytes)
        return unsent < 0 ? nil : unsent <= Int64(bytes)
    }

    package func peer(of connection: ConnectionID) -> PeerAddress? {
        var bytes:
            (
                UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8,
                UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8
            ) = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        let found = withUnsafeMutableBytes(of: &bytes) {
            ps_connection_peer(
                handle, connection.rawValue, $0.baseAddress!.assumingMemoryBound(to: UInt8.self))
        }
        return found == PS_OK.rawValue ? PeerAddress(bytes: bytes) : nil
    }

    /// What `peer(of:)` answers from here on, where a proxy has said who its client is.
    package func setPeer(_ address: PeerAddress, of connection: ConnectionID) {
        let words = (address.high.bigEndian, address.low.bigEndian)
        withUnsafeBytes(of: words) {
            _ = ps_connection_set_peer(
                handle, connection.rawValue, $0.baseAddress!.assumingMemoryBound(to: UInt8.self))
        }
    }
}

import Reactor

/// What a handshake offers in Sec-WebSocket-Protocol (RFC 6455 §11.3.4).
struct Subprotocols {
    static let version1 = "pollstream.v1"

    /// Whether our protocol is among them; then it is the one that is taken.
    private(set) var offersVersion1 = false
    /// Of the first `bearer.<token>`.
    private(set) var bearerToken: UnsafeRawBufferPointer?

    init(_ field: UnsafeRawBufferPointer) {
        var rest = field
        while let element = rest.takeElement(before: UInt8(ascii: ",")) {
            let name = element.trimmed()
            if name.isEqual(to: Self.version1) { offersVersion1 = true }
            if name.hasPrefix("bearer."), bearerToken == nil {
                bearerToken = name.removing(prefixCount: 7)
            }
        }
    }

    init(of request: borrowing Request) {
        self.init(
            request.field("sec-websocket-protocol")
                ?? UnsafeRawBufferPointer(start: nil, count: 0))
    }
}

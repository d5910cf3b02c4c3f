import Reactor

/// What a handshake offers in Sec-WebSocket-Protocol (RFC 6455 §11.3.4).
struct Subprotocols {
    static let version1 = "pollstream.v1"

    /// Whether our protocol is among them; then it is the one that is taken.
    private(set) var offersVersion1 = false
    /// Of the first `bearer.<token>`.
    private(set) var bearerToken: UnsafeRawBufferPointer?

    /// - Parameter fields: in their order; a list may be spread over several.
    init(_ fields: [UnsafeRawBufferPointer]) {
        for field in fields { read(field) }
    }

    init(of request: borrowing Request) {
        let name: StaticString = "sec-websocket-protocol"
        for skipped in (0..<request.fieldCount(name)).reversed() {
            if let field = request.lastField(name, skipping: skipped) { read(field) }
        }
    }

    private mutating func read(_ field: UnsafeRawBufferPointer) {
        var rest = field
        while let element = rest.takeElement(before: UInt8(ascii: ",")) {
            let name = element.trimmed()
            if name.isEqual(to: Self.version1) { offersVersion1 = true }
            if name.hasPrefix("bearer."), bearerToken == nil {
                bearerToken = name.removing(prefixCount: 7)
            }
        }
    }
}

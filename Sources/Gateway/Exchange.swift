import JSON
import Polls
import Reactor

/// One request on its way to its answer, given now or later. Small, because it waits in closures.
struct Exchange {
    unowned let gateway: Gateway
    let connection: ConnectionID
    let sequence: UInt32
    /// What the page that asked is allowed.
    let permission: Origins.Permission
    /// A WebSocket handshake: whatever else is answered to it closes the connection.
    let isHandshake: Bool

    init(_ request: borrowing Request, on connection: ConnectionID, of gateway: Gateway) {
        self.gateway = gateway
        self.connection = connection
        sequence = request.sequence
        // No page has any business with the operations.
        permission =
            request.listener == .operations
            ? .none
            : gateway.origins.permission(
                for: request.field("origin"), count: request.fieldCount("origin"))
        isHandshake = request.handshake != .none
    }

    func send(_ answer: Answer) {
        let response = Response(
            status: answer.status, fields: answer.allFields(for: permission).bytes,
            body: answer.body, closes: answer.closes || isHandshake)
        gateway.loop.respond(to: connection, sequence: sequence, with: response)
    }

    func send(_ error: APIError) { send(Answer(error)) }

    func send(json: JSONWriter, status: Int = 200) { send(Answer(status: status, json: json)) }

    /// Sends the answer, or 304 to who has it already.
    /// - Parameter known: the If-None-Match field.
    func send(_ answer: Answer, unlessKnown known: [UInt8]?) {
        guard let known, let etag = answer.etag,
            known.withUnsafeBytes({ etag.isNamed(by: $0) })
        else { return send(answer) }
        send(answer.notModified)
    }

    func sendNoContent() { send(Answer(status: 204)) }

    /// The fields of an answer that is streamed or switched to, for who sends it.
    func fields(_ answer: Answer) -> [UInt8] { answer.allFields(for: permission).bytes }
}

extension Request {
    /// A copy of the If-None-Match field, which outlives the request.
    var knownTags: [UInt8]? { field("if-none-match").map(Array.init) }
}

extension Gateway {
    /// Answers what the reactor refused; the connection closes behind it.
    func answerRefused(_ connection: ConnectionID, sequence: UInt32, status: Int) {
        answer(.refused(status: status), to: connection, sequence: sequence)
    }

    /// Refuses a live connection that cannot begin; it closes.
    func answer(_ error: APIError, to connection: ConnectionID, sequence: UInt32) {
        let answer = Answer(error)
        loop.respond(
            to: connection, sequence: sequence,
            with: Response(
                status: answer.status, fields: answer.allFields(for: .none).bytes,
                body: answer.body, closes: true))
    }

    /// A whole HTTP answer for who comes past the connection limit (`LoopSettings`).
    package static var overloadResponse: [UInt8] {
        let answer = Answer(APIError.overloaded)
        var bytes = Array("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n".utf8)
        bytes += Array("Content-Length: \(answer.body.count)\r\n".utf8)
        bytes += answer.allFields(for: .none).bytes
        return bytes + Array("\r\n".utf8) + answer.body
    }
}

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
    let isOperations: Bool
    let method: Request.Method
    /// What its path was found to be.
    var route: StaticString = "-"
    /// As whoever asks has named it.
    let requestID: RequestID?

    init(_ request: borrowing Request, on connection: ConnectionID, of gateway: Gateway) {
        self.gateway = gateway
        self.connection = connection
        sequence = request.sequence
        isOperations = request.listener == .operations
        method = request.method
        requestID = request.field("x-request-id").flatMap { RequestID($0) }
        // No page has any business with the operations.
        permission =
            isOperations
            ? .none
            : gateway.origins.permission(
                for: request.field("origin"), count: request.fieldCount("origin"))
        isHandshake = request.handshake != .none
    }

    func send(_ answer: Answer) {
        let response = Response(
            status: answer.status, fields: fields(answer), body: answer.body,
            closes: answer.closes || isHandshake)
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

    /// The fields of an answer, also of one that is streamed or switched to. Tells the log where it
    /// is to hear of it.
    func fields(_ answer: Answer) -> [UInt8] {
        var fields = answer.allFields(for: permission)
        if let seconds = gateway.settings.strictTransportSeconds, !isOperations {
            fields.add("Strict-Transport-Security", "max-age=\(seconds)")  // RFC 6797 §6.1
        }
        let isTold = !isOperations && gateway.isTold(status: answer.status, code: answer.code)
        // A name that nobody has given and the log does not know leads nowhere.
        guard let id = requestID ?? (isTold ? RequestID() : nil) else { return fields.bytes }
        fields.add("X-Request-Id", id.text)
        if isTold {
            gateway.doors.tellRefused(
                RefusedRequest(
                    id: id.text, method: method.name, route: route.description,
                    status: answer.status, code: answer.code))
        }
        return fields.bytes
    }
}

extension Request {
    /// A copy of the If-None-Match field, which outlives the request.
    var knownTags: [UInt8]? { field("if-none-match").map(Array.init) }
}

extension Gateway {
    /// Answers what the reactor refused; the connection closes behind it.
    func answerRefused(_ connection: ConnectionID, sequence: UInt32, status: Int) {
        let answer = Answer(APIError.refused(status: status))
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

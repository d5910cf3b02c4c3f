import Polls
import Reactor

/// How live connections begin: WebSockets, event streams, and the echo of conformance suites.
extension Gateway {
    /// Switches to WebSocket after the route has checked path, origin and token.
    /// - Parameters:
    ///   - subscribe: the poll that the path names.
    ///   - since: the revision that the client has of it.
    ///   - fields: of the answer, `Name: value\r\n` each.
    func beginLive(
        request: borrowing Request, on connection: ConnectionID, subscribe id: PollID?,
        since: Int64?, viewer: Viewer, fields: [UInt8]
    ) {
        guard begin(.webSocket, request, on: connection, viewer: viewer, fields) else { return }
        guard let id else { return }
        subscribe(
            connection,
            Subscription(
                ids: [id], hostKeyHash: nil, since: since, reference: nil, isByPath: true))
    }

    /// Switches to a WebSocket that says back what it hears.
    func beginEcho(request: borrowing Request, on connection: ConnectionID, fields: [UInt8]) {
        _ = begin(.echo, request, on: connection, viewer: Viewer(), fields)
    }

    func echo(_ message: Message, to connection: ConnectionID) {
        if message.isText {
            loop.send(text: message.payload, to: connection)
        } else {
            loop.send(binary: message.payload, to: connection)
        }
    }

    /// Answers with Server-Sent Events (HTML §9.2) of one poll.
    ///
    /// A stream has to begin before its poll is known to be there: one that is not is told so by an
    /// `error` event, and by 404 when it comes again.
    func beginEvents(
        request: borrowing Request, on connection: ConnectionID, poll id: PollID, viewer: Viewer,
        lastEventID: Int64?, fields: [UInt8]
    ) {
        if draining.isClosing {
            return answer(.draining, to: connection, sequence: request.sequence)
        }
        if boards.isUnknown(id, at: loop.nowNanoseconds) {
            return answer(.pollNotFound, to: connection, sequence: request.sequence)
        }
        let head = Response(
            status: 200, fields: Self.eventStreamFields + fields,
            body: Array("retry: 2000\n\n".utf8))
        guard
            loop.stream(
                to: connection, sequence: request.sequence, head: head, framing: .untilClose,
                ping: ": \n\n")
        else { return answer(.overloaded, to: connection, sequence: request.sequence) }
        sockets.insert(connection, .eventStream, viewer: viewer)
        withBoard(id) { [unowned self] lookup in
            guard loop.kind(of: connection) == .stream else { return }
            switch lookup {
            case .board(let board): attach(connection, to: board, since: lastEventID)
            case .notFound: end(connection, with: .pollNotFound)
            case .refused(let refusal): end(connection, with: APIError.of(refusal))
            }
        }
    }

    private func begin(
        _ kind: LiveSocket.Kind, _ request: borrowing Request, on connection: ConnectionID,
        viewer: Viewer, _ fields: [UInt8]
    ) -> Bool {
        if draining.isClosing {
            answer(.draining, to: connection, sequence: request.sequence)
            return false
        }
        guard loop.upgrade(connection, sequence: request.sequence, fields: fields) else {
            answer(.overloaded, to: connection, sequence: request.sequence)
            return false
        }
        sockets.insert(connection, kind, viewer: viewer)
        return true
    }

    private func end(_ stream: ConnectionID, with error: APIError) {
        // It comes again while the answer is remembered, and is then refused for good.
        let retrySoon: StaticString = "retry: 500\n\n"
        retrySoon.withUTF8Buffer { _ = loop.send(text: UnsafeRawBufferPointer($0), to: stream) }
        sendError(error, to: stream, nil)
        loop.endStream(stream)
    }

    private static let eventStreamFields = Array(
        "Content-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n"
            .utf8)
}

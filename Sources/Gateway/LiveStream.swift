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
        _ exchange: Exchange, subscribe id: PollID?, since: Int64?, viewer: Viewer,
        fields: [UInt8]
    ) {
        let connection = exchange.connection
        guard begin(.webSocket, exchange, viewer: viewer, fields) else { return }
        guard let id else { return }
        subscribe(
            connection,
            Subscription(
                ids: [id], hostKeyHash: nil, since: since, reference: nil, isByPath: true))
    }

    /// Switches to a WebSocket that says back what it hears.
    func beginEcho(_ exchange: Exchange) {
        _ = begin(.echo, exchange, viewer: Viewer(), [])
    }

    func echo(_ message: Message, to connection: ConnectionID) {
        if message.isText {
            loop.send(text: message.payload, to: connection)
        } else {
            loop.send(binary: message.payload, to: connection)
        }
    }

    /// Answers with Server-Sent Events (HTML §9.2) of one poll, once it is known to be there.
    func beginEvents(
        _ request: borrowing Request, _ exchange: Exchange, poll id: PollID, viewer: Viewer,
        lastEventID: Int64?, fields: [UInt8]
    ) {
        let connection = exchange.connection
        let address = ClientAddress(client(of: request))
        let wantsBody = request.method != .head
        withBoard(id) { [unowned self] lookup in
            switch lookup {
            // Asked here, since the walk that tells everybody may have passed while a board came.
            case .board where draining.isClosing:
                exchange.refuseLive(.draining)
            case .board(let board):
                // Many may have come in while boards were read.
                do throws(APIError) {
                    try expectRoom(for: address)
                } catch {
                    return exchange.refuseLive(error)
                }
                let head = Response(
                    status: 200, fields: fields, body: Array("retry: 2000\n\n".utf8))
                guard
                    loop.stream(
                        to: connection, sequence: exchange.sequence, head: head,
                        framing: .untilClose, ping: ": \n\n")
                else {
                    // Requests were pipelined around this one: they are answered all the same.
                    return exchange.send(.overloaded)
                }
                // Nothing follows the head, so nothing would ever end it.
                guard wantsBody else { return loop.endStream(connection) }
                sockets.insert(connection, .eventStream, viewer: viewer)
                countAddress(of: connection, address)
                attach(connection, to: board, since: lastEventID)
            case .notFound: exchange.send(.pollNotFound)
            case .refused(let refusal): exchange.send(.of(refusal))
            }
        }
    }

    func begin(
        _ kind: LiveSocket.Kind, _ exchange: Exchange, viewer: Viewer, _ fields: [UInt8]
    ) -> Bool {
        if draining.isClosing {
            exchange.refuseLive(.draining)
            return false
        }
        guard loop.upgrade(exchange.connection, sequence: exchange.sequence, fields: fields) else {
            exchange.refuseLive(.overloaded)
            return false
        }
        sockets.insert(exchange.connection, kind, viewer: viewer)
        return true
    }
}

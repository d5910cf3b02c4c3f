import Identity
import Polls
import Reactor

/// Where live connections begin: who may, and what the handshake says.
extension Gateway {
    func openLive(_ request: borrowing Request, _ exchange: Exchange) {
        openLive(request, exchange, subscribe: nil)
    }

    func openLivePoll(_ request: borrowing Request, _ exchange: Exchange, _ id: PollID) {
        openLive(request, exchange, subscribe: id)
    }

    private func openLive(
        _ request: borrowing Request, _ exchange: Exchange, subscribe id: PollID?
    ) {
        let caller: Caller
        do {
            try admitHandshake(request)
            caller = try liveCaller(of: request)
        } catch {
            return exchange.refuseLive(error)
        }
        // A revision that cannot be read is one we never gave: it saves nothing.
        let since = (try? Query(request.query).integer("since")) ?? nil
        beginLive(
            exchange, subscribe: id, since: since, viewer: caller.viewer,
            fields: handshakeFields(exchange, request, caller))
        takeClient(of: request, exchange.connection)
    }

    /// For conformance suites; without `--ws-echo` nothing is here.
    func openEcho(_ request: borrowing Request, _ exchange: Exchange) {
        guard settings.servesEcho else { return exchange.send(.notFound) }
        do {
            try admitHandshake(request)
            try takeHandshake(of: request, nil)
        } catch {
            return exchange.refuseLive(error)
        }
        beginEcho(exchange)
    }

    func openEvents(_ request: borrowing Request, _ exchange: Exchange, _ id: PollID) {
        let viewer: Viewer
        do throws(APIError) {
            guard isFromKnownPage(request) else { throw .originNotAllowed }
            try expectRoom(for: ClientAddress(client(of: request)))
            viewer = try liveCaller(of: request).viewer
        } catch {
            return exchange.send(error)
        }
        var answer = Answer(.eventStream, [])
        answer.vary = .caller
        answer.fields.add("X-Accel-Buffering", "no")
        beginEvents(
            request, exchange, poll: id, viewer: viewer,
            lastEventID: request.field("last-event-id")?.decimalInteger,
            fields: exchange.fields(answer))
    }

    /// A live connection is one client's for good, unlike a proxy's connection for requests.
    func takeClient(of request: borrowing Request, _ connection: ConnectionID) {
        let client = client(of: request)
        if client != request.peer { loop.setPeer(client, of: connection) }
        countAddress(of: connection, ClientAddress(client))
    }

    func admitHandshake(_ request: borrowing Request) throws(APIError) {
        try expectRoom(for: ClientAddress(client(of: request)))
        switch request.handshake {
        case .valid: break
        case .none, .invalid(status: 426): throw .upgradeRequired
        case .invalid(status: 405): throw .methodNotAllowed
        case .invalid: throw .malformedRequest
        }
        guard allowsOrigin(of: request) else { throw .originNotAllowed }
    }

    /// Counts a live connection that is about to begin, also one whose token is not valid: checking
    /// that is the dearest part of it.
    private func liveCaller(of request: borrowing Request) throws(APIError) -> Caller {
        let caller: Caller
        do {
            caller = try handshakeCaller(of: request)
        } catch {
            try takeHandshake(of: request, nil)
            throw error
        }
        try takeHandshake(of: request, caller.identity)
        return caller
    }

    func takeHandshake(of request: borrowing Request, _ voter: VoterIdentity?) throws(APIError) {
        try take(settings.rateHandshakes, for: .handshakes, by: voter, client(of: request))
    }

    /// The subprotocol that is taken, and a cookie for a browser that has none yet.
    private func handshakeFields(
        _ exchange: Exchange, _ request: borrowing Request, _ caller: Caller
    ) -> [UInt8] {
        var fields = HeaderFields()
        if let id = exchange.requestID { fields.add("X-Request-Id", id.text) }
        if Subprotocols(of: request).offersVersion1 {
            fields.add("Sec-WebSocket-Protocol", Subprotocols.version1)
        }
        if caller.identity == nil, let cookie = newVoterCookie() {
            fields.add("Set-Cookie", cookie)
        }
        return fields.bytes
    }
}

extension Exchange {
    /// Refuses a live connection that cannot begin; it closes.
    func refuseLive(_ error: APIError) {
        var answer = Answer(error)
        answer.closes = true
        if error.status == 426 {
            answer.fields.add("Sec-WebSocket-Version", "13")
            answer.fields.add("Upgrade", "websocket")
        }
        if error.status == 405 { answer.fields.add("Allow", "GET") }
        send(answer)
    }
}

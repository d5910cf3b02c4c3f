import Identity
import JSON
import Polls
import Reactor

/// Reading polls, and making new ones.
extension Gateway {
    func readPoll(_ request: borrowing Request, _ exchange: Exchange, _ id: PollID) {
        let known = request.knownTags
        showPoll(id, to: request, exchange) { poll, view in
            exchange.send(Answer(poll, view: view), unlessKnown: known)
        }
    }

    /// Finds a poll and what its caller may see of it, or says what is wrong.
    func showPoll(
        _ id: PollID, to request: borrowing Request, _ exchange: Exchange,
        then show: @escaping (Poll, PollView) -> Void
    ) {
        let viewer: Viewer
        do {
            viewer = try caller(of: request).viewer
        } catch {
            return exchange.send(error)
        }
        withBoard(id) { [unowned self] lookup in
            switch lookup {
            case .notFound: exchange.send(.pollNotFound)
            case .refused(let refusal): exchange.send(.of(refusal))
            case .board(let board): view(of: board, for: viewer) { show(board.poll, $0) }
            }
        }
    }

    func createPoll(_ request: borrowing Request, _ exchange: Exchange) {
        let draft: PollDraft
        do {
            try expectAdmin(request)
            draft = try withJSON(of: request) {
                [now = request.receivedUnixMilliseconds] root in try PollDraft(root, now: now)
            }
            try takePoll(of: request)
        } catch {
            return exchange.send(error)
        }
        askForChange(.create(draft), of: nil, by: client(of: request)) { answer in
            switch answer {
            case .created(let record, let hostKey):
                exchange.send(Answer(created: record.poll, hostKey: hostKey))
            case .refused(let refusal): exchange.send(.of(refusal))
            default: preconditionFailure("the catalogue answered another question")
            }
        }
    }

    /// Counts a poll that is about to be created.
    func takePoll(of request: borrowing Request) throws(APIError) {
        guard settings.ratePolls != nil else { return }
        try take(
            settings.ratePolls, for: .polls, by: try caller(of: request).identity,
            client(of: request))
    }

    /// Where an admin key is configured, only who holds it makes polls.
    func expectAdmin(_ request: borrowing Request) throws(APIError) {
        guard let expected = settings.adminKeyHash else { return }
        guard case .adminKey(let hash)? = try caller(of: request).bearer else {
            throw .unauthorized
        }
        guard AdminKey.isSame(hash, expected) else { throw .forbidden }
    }
}

extension Answer {
    init(_ poll: Poll, view: PollView) {
        var json = JSONWriter()
        json.write(poll, view: view)
        self.init(json: json)
        caching = .revalidatedByCaller
        vary = .caller
        etag = ETag(of: poll, view)
    }

    /// The only answer that ever holds a host key.
    init(created poll: Poll, hostKey: String) {
        var json = JSONWriter()
        json.beginObject()
        json.writeMembers(of: poll, view: .everything)
        json.member("host_key", hostKey)
        json.endObject()
        self.init(status: 201, json: json)
        fields.add("Location", "/polls/\(poll.id.rawValue)/")
    }
}

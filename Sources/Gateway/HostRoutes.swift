import Polls
import Reactor

/// What only the host of a poll may do with it.
extension Gateway {
    func changePoll(_ request: borrowing Request, _ exchange: Exchange, _ id: PollID) {
        let hostKeyHash: [UInt8]
        let change: PollChange
        do {
            hostKeyHash = try expectHostKey(request)
            change = try withJSON(of: request) {
                [now = request.receivedUnixMilliseconds] root in try PollChange(root, now: now)
            }
        } catch {
            return exchange.send(error)
        }
        let client = client(of: request)
        withHostedBoard(id, hostKeyHash, exchange) { [unowned self] _ in
            ask(.change(id, change), of: id, by: client, for: exchange)
        }
    }

    func openPoll(_ request: borrowing Request, _ exchange: Exchange, _ id: PollID) {
        ask(.open(id), id, request, exchange)
    }

    func closePoll(_ request: borrowing Request, _ exchange: Exchange, _ id: PollID) {
        ask(.close(id), id, request, exchange)
    }

    func deletePoll(_ request: borrowing Request, _ exchange: Exchange, _ id: PollID) {
        ask(.delete(id), id, request, exchange)
    }

    private func ask(
        _ change: CatalogueRequest, _ id: PollID, _ request: borrowing Request, _ exchange: Exchange
    ) {
        let client = client(of: request)
        withHostedBoard(id, request, exchange) { [unowned self] _ in
            ask(change, of: id, by: client, for: exchange)
        }
    }

    /// Finds the poll and lets its host through; answers anybody else.
    func withHostedBoard(
        _ id: PollID, _ request: borrowing Request, _ exchange: Exchange,
        then: @escaping (Board) -> Void
    ) {
        do {
            withHostedBoard(id, try expectHostKey(request), exchange, then: then)
        } catch {
            exchange.send(error)
        }
    }

    private func withHostedBoard(
        _ id: PollID, _ hostKeyHash: [UInt8], _ exchange: Exchange,
        then: @escaping (Board) -> Void
    ) {
        withBoard(id) { [unowned self] lookup in
            switch lookup {
            case .notFound: exchange.send(.pollNotFound)
            case .refused(let refusal): exchange.send(.of(refusal))
            case .board(let board) where !isHost(hostKeyHash, of: board):
                exchange.send(.forbidden)
            case .board(let board): then(board)
            }
        }
    }

    private func expectHostKey(_ request: borrowing Request) throws(APIError) -> [UInt8] {
        guard let hash = try caller(of: request).hostKeyHash else { throw .unauthorized }
        return hash
    }

    /// Asks for a change on behalf of the host, who is shown what it left behind.
    private func ask(
        _ change: CatalogueRequest, of id: PollID, by client: PeerAddress, for exchange: Exchange
    ) {
        askForChange(change, of: id, by: client) { [unowned self] answer in
            switch answer {
            case .poll(let record):
                adopt(record)
                exchange.send(Answer(record.poll, view: .everything))
            case .deleted: exchange.sendNoContent()
            case .refused(let refusal): exchange.send(.of(refusal))
            default: preconditionFailure("the catalogue answered another question")
            }
        }
    }
}

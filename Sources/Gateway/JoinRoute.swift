import Polls
import Reactor

/// `GET /join/{code}`: where a code that was read aloud leads.
extension Gateway {
    /// A browser, which asks for HTML before JSON, is sent to the poll's page; everybody else gets
    /// the poll.
    func joinPoll(_ request: borrowing Request, _ exchange: Exchange, _ code: String) {
        let viewer: Viewer
        do {
            viewer = try caller(of: request).viewer
        } catch {
            return exchange.send(error)
        }
        let accept = Accept(request.field("accept"))
        let wantsPage =
            accept.quality(of: "text", "html") > accept.quality(of: "application", "json")
        ask(.find(joinCode: code.uppercased())) { [unowned self] answer in
            switch answer {
            case .poll(let record) where wantsPage:
                exchange.send(Answer(pageOf: record.poll.id))
            case .poll(let record):
                adopt(record)
                showJoined(record.poll.id, to: viewer, exchange)
            case .refused(let refusal): exchange.send(.of(refusal))
            default: preconditionFailure("the catalogue answered another question")
            }
        }
    }

    private func showJoined(_ id: PollID, to viewer: Viewer, _ exchange: Exchange) {
        withBoard(id) { [unowned self] lookup in
            switch lookup {
            case .notFound: exchange.send(.pollNotFound)
            case .refused(let refusal): exchange.send(.of(refusal))
            case .board(let board):
                view(of: board, for: viewer) { view in
                    var answer = Answer(board.poll, view: view)
                    answer.vary.insert(.accept)
                    exchange.send(answer)
                }
            }
        }
    }
}

extension Answer {
    fileprivate init(pageOf id: PollID) {
        self.init(status: 303)
        fields.add("Location", "/p/\(id.rawValue)")
        vary = .accept
        caching = .revalidated
    }
}

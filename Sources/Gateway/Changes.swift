import Polls
import Reactor

/// What hosts have asked for that is under way: polls that are created, changed, opened, closed, deleted.
///
/// Anybody may host polls, and all of them wait in one queue: no poll and no address has more of it than its
/// share, whatever it sends at once. Of one loop.
struct ChangesUnderWay {
    static let limitPerPoll = 8
    static let limitPerAddress = 64

    private var byPoll = Counts<PollID>()
    private var byAddress = Counts<ClientAddress>()

    /// - Parameter poll: nil for one that is to be created.
    /// - Returns: false where it would be more than its share.
    mutating func begin(_ poll: PollID?, _ address: ClientAddress) -> Bool {
        guard byAddress[address] < Self.limitPerAddress,
            poll.map({ byPoll[$0] < Self.limitPerPoll }) ?? true
        else { return false }
        byAddress.add(address)
        if let poll { byPoll.add(poll) }
        return true
    }

    mutating func end(_ poll: PollID?, _ address: ClientAddress) {
        byAddress.remove(address)
        if let poll { byPoll.remove(poll) }
    }
}

extension Gateway {
    /// Asks the catalogue for a change, as `ask` does. `then` gets `.overloaded` at once where too many
    /// are under way already.
    ///
    /// - Parameter poll: nil for one that is to be created.
    func askForChange(
        _ change: CatalogueRequest, of poll: PollID?, by client: PeerAddress,
        then: @escaping (CatalogueAnswer) -> Void
    ) {
        let address = ClientAddress(client)
        guard changes.begin(poll, address) else {
            statistics.count(limit: .changes)
            return then(.refused(.overloaded))
        }
        ask(change) { [unowned self] answer in
            changes.end(poll, address)
            then(answer)
        }
    }
}

import Identity
import Reactor

/// How often one client may do what it does, and how many connections it holds.
extension Gateway {
    /// - Throws: `rateLimited` past the rate; never where there is none.
    func take(_ rate: Rate?, for subject: RateSubject) throws(APIError) {
        guard let rate, let wait = wait(rate, for: subject) else { return }
        throw .rateLimited(retryAfterSeconds: Int((wait + 999_999_999) / 1_000_000_000))
    }

    func voteSubject(_ voter: VoterIdentity, _ address: ClientAddress) -> RateSubject {
        if case .subject(let subject) = voter { .votesOfSubject(subject) } else { .votes(address) }
    }

    // MARK: For messages of live connections

    func allowsVote(identity: VoterIdentity, peer: PeerAddress?) -> Bool {
        guard let rate = settings.rateVotes, let peer else { return true }
        return wait(rate, for: voteSubject(identity, ClientAddress(peer))) == nil
    }

    func allowsMessage(from connection: ConnectionID) -> Bool {
        guard let rate = settings.rateMessages, let peer = loop.peer(of: connection) else {
            return true
        }
        return wait(rate, for: .messages(ClientAddress(peer))) == nil
    }

    private func wait(_ rate: Rate, for subject: RateSubject) -> Int64? {
        let wait = shared.rates.take(for: subject, rate: rate, now: Int64(loop.nowNanoseconds))
        if wait != nil { statistics.count(limit: GatewayStatistics.Limit(subject)) }
        return wait
    }

    // MARK: Connections of one address

    /// Counts a connection that has become live. Plain HTTP connections come and go with their
    /// requests and are bounded by their idle time.
    func countAddress(of connection: ConnectionID, _ address: ClientAddress) {
        guard settings.connectionsPerAddress != nil else { return }
        switch loop.kind(of: connection) {
        case .webSocket, .stream:
            countedAddresses[connection] = address
            shared.addresses.add(address)
        case .http, nil: break
        }
    }

    func releaseAddress(of connection: ConnectionID) {
        guard let address = countedAddresses.removeValue(forKey: connection) else { return }
        shared.addresses.remove(address)
    }
}

import Identity
import Reactor

/// How often one client may do what it does, and how many connections it holds.
extension Gateway {
    /// Takes a token of the voter, where somebody is known, and one of the address.
    /// - Throws: `rateLimited` past the rate; never where there is none.
    func take(
        _ rate: Rate?, for action: RateSubject.Action, by voter: VoterIdentity?,
        _ peer: PeerAddress
    ) throws(APIError) {
        guard let rate, let wait = wait(rate, action, voter, ClientAddress(peer)) else { return }
        throw .rateLimited(retryAfterSeconds: Int((wait + 999_999_999) / 1_000_000_000))
    }

    /// The same for messages of live connections.
    func allows(
        _ rate: Rate?, for action: RateSubject.Action, by voter: VoterIdentity?,
        on connection: ConnectionID
    ) -> Bool {
        guard let rate, let peer = loop.peer(of: connection) else { return true }
        return wait(rate, action, voter, ClientAddress(peer)) == nil
    }

    /// An address may be a whole audience's: it has the rates of as many clients as
    /// `--address-share` says, and each of its voters that of one. The subject of a token cannot be
    /// made up, so it is a client by itself, wherever it comes from.
    private func wait(
        _ rate: Rate, _ action: RateSubject.Action, _ voter: VoterIdentity?,
        _ address: ClientAddress
    ) -> Int64? {
        let one = voter.map {
            RateSubject(action: action, client: .voter(secrets.hasher.voterKey(for: $0)))
        }
        if let one, let wait = wait(rate, for: one) { return wait }
        if case .subject? = voter { return nil }
        let all = RateSubject(action: action, client: .address(address))
        guard let wait = wait(rate.shared(by: settings.addressShare), for: all) else { return nil }
        if let one { shared.rates.giveBack(to: one, rate: rate) }
        return wait
    }

    private func wait(_ rate: Rate, for subject: RateSubject) -> Int64? {
        let wait = shared.rates.take(for: subject, rate: rate, now: Int64(loop.nowNanoseconds))
        if wait != nil { statistics.count(limit: GatewayStatistics.Limit(subject.action)) }
        return wait
    }

    // MARK: Connections of one address

    /// Whether the address may hold one more live connection. What is asked over HTTP is answered all the
    /// same: whoever shares an address with somebody who holds many can still vote.
    /// - Throws: `rateLimited`.
    func expectRoom(for address: ClientAddress) throws(APIError) {
        guard let limit = settings.connectionsPerAddress,
            shared.addresses.count(of: address) >= limit
        else { return }
        statistics.count(limit: .connectionsPerAddress)
        throw .rateLimited
    }

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

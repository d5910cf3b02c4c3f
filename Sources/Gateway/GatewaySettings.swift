package import Reactor

/// What the front door needs to know; PROTOCOL's defaults.
package struct GatewaySettings: Sendable {
    package var services = Service.allCases
    package var acceptsVoterNames = true
    /// The gateway's own voter tokens, which anybody is given: in a cookie or as a bearer token.
    package var acceptsVoterCookies = true
    /// Origins that browsers may come from, exact; nil: any over HTTP without credentials, and for
    /// handshakes the same origin or none.
    package var allowedOrigins: [String]?
    /// Absolute links start with it, without a trailing slash; nil: from the Host header.
    package var publicURL: String?
    /// TLS ends here, on all public listeners.
    package var endsTLS = false
    /// Browsers that come over it are told to come so for as long; nil: they are told nothing.
    package var strictTransportSeconds: Int?
    package var servesEcho = false
    /// What `/ws/global/` tells, and how much of it in a second.
    package var feed = Feed.names
    package var feedRate = 5
    /// Whose X-Forwarded-For is believed; nobody's unless told.
    package var trustedProxies: [Network] = []
    /// Other gateways may commit to the same store.
    package var sharesStore = false
    /// SHA-256 of the key that creating polls takes; nil: anybody creates polls.
    package var adminKeyHash: [UInt8]?
    /// Boards kept per loop, watched ones not counted.
    package var idleBoardCount = 4096
    /// Unknown poll ids remembered per loop, and for how long.
    package var unknownPollCount = 4096
    package var unknownPollMilliseconds = 2_000
    /// Who may wait for one board to load.
    package var boardWaiterCount = 65_536
    /// Ballots of `after_vote` polls remembered as stored, per loop.
    package var knownBallotCount = 65_536
    /// Unanswered ballots and subscriptions of one WebSocket.
    package var unansweredMessageCount = 1_024
    package var subscriptionCount = 128
    /// Unsent answers of one connection; past it the reactor closes it.
    package var outboxBytes: UInt32 = 256 << 10
    /// How long a turn may take in what other threads have sent, at least one message of it.
    package var wakeNanoseconds: Int64 = 5_000_000
    package var ratePolls: Rate?
    package var rateVotes: Rate?
    package var rateMessages: Rate?
    package var rateHandshakes: Rate?
    /// How many clients' rates one address has.
    package var addressShare = 1
    /// Connections per client address; nil: no limit.
    package var connectionsPerAddress: Int?

    package init() {}
}

/// Notices of counted votes: with the names that voters gave, without, or none at all.
package enum Feed: String, CaseIterable, Sendable { case names, anonymous, off }

/// A part of the API that a process may serve alone, so that they scale apart.
package enum Service: String, CaseIterable, Sendable { case polls, votes, live }

/// So many events in so much time, for one client; also the largest burst.
package struct Rate: Sendable, Equatable {
    package var count: Int
    package var perMilliseconds: Int

    package init(count: Int, perMilliseconds: Int) {
        self.count = count
        self.perMilliseconds = perMilliseconds
    }
}

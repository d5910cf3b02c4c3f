package import Identity
package import Telemetry

/// What the loops of one process share. Everything in it is thread-safe by itself.
package final class Shared: Sendable {
    /// nil where the store could not be reached at the start: `LoopMessage.unlock` brings them.
    let secrets: Secrets?
    /// nil: no JWT is valid.
    let jwt: JWTVerifier?
    package let viewers = ViewerCounts()
    let rates = RateLimiter()
    let addresses = AddressCounts()
    /// Each waits for its reader most of the time.
    let exports = ExportSlots(limit: 64, perPoll: 2, perAddress: 8)
    /// Each keeps a thread busy.
    let audits = ExportSlots(limit: 4, perPoll: 1, perAddress: 2)
    package let feedPacer: FeedPacer

    package init(secrets: Secrets?, jwt: JWTVerifier? = nil, feedRate: Int = 5) {
        self.secrets = secrets
        self.jwt = jwt
        feedPacer = FeedPacer(rate: feedRate)
    }

    /// Prometheus text. From any thread.
    package func write(to text: inout MetricsText) {
        text.gauge(
            "pollstream_rate_clients",
            "Identities and addresses whose rates are kept; the oldest go beyond 65536.",
            rates.clientCount)
    }
}

/// What comes from the keys that all gateways on one database share. Without them nobody's identity
/// can be told, and nothing is served.
package struct Secrets: Sendable {
    let hasher: IdentityHasher
    let tokens: VoterTokenSigner
    /// Of what they tell one another.
    package let seal: RelaySeal

    package init(hasher: IdentityHasher, tokens: VoterTokenSigner, seal: RelaySeal) {
        self.hasher = hasher
        self.tokens = tokens
        self.seal = seal
    }
}

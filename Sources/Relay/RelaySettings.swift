/// What the relay needs to know: which Redis, and how patient to be with it.
package struct RelaySettings: Sendable {
    package var target: RedisTarget
    /// Polls whose news may wait for a Redis that is slow or away.
    package var waitingPolls = 65_536
    /// Delay between attempts to connect: spread, so that many gateways do not come at once.
    package var retryBase: Duration = .milliseconds(100)
    package var retryLimit: Duration = .seconds(2)
    /// Between two words of a gateway to itself, and two looks at its viewer counts.
    package var heartbeat: Duration = .seconds(1)
    /// Without a word from Redis, or without its own, a gateway connects anew.
    package var silenceLimit: Duration = .seconds(3)

    package init(target: RedisTarget) { self.target = target }
}

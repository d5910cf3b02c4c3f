/// What the events need to know: which broker, and how much at once.
package struct EventSettings: Sendable {
    package var target: AMQPTarget
    /// Ballots and changes that are read at once.
    package var pageSize = 4_096
    /// Messages that the broker may have without a word about them.
    package var unconfirmedLimit = 1_024
    /// Delay between attempts to connect: spread, so that many gateways do not come at once.
    package var retryBase: Duration = .milliseconds(200)
    package var retryLimit: Duration = .seconds(2)
    /// Between two looks for what other gateways have committed.
    package var look: Duration = .milliseconds(250)
    /// Between two pages that were not full: each ends with a commit of its own.
    package var pace: Duration = .milliseconds(20)
    /// How long a gateway may tell without asking for more, and how often it asks.
    package var lease: Duration = .seconds(5)
    package var renewal: Duration = .seconds(1)
    /// Without a confirm for so long a gateway connects anew.
    package var confirmLimit: Duration = .seconds(60)

    package init(target: AMQPTarget) { self.target = target }
}

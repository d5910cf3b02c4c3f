/// What the ledger needs to know; PROTOCOL's defaults.
package struct LedgerSettings: Sendable {
    /// Ballots that the ledger may hold, waiting and in commit.
    package var waitingBallots = 65_536
    /// Ballots that commit together at most. Beyond some thousands a batch gains nothing and makes
    /// those behind it wait.
    package var batchLimit = 8_192
    /// How long a ballot waits for its commit before it is answered without.
    package var commitLimit = Duration.seconds(5)

    package init() {}
}

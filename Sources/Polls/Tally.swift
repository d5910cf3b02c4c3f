/// The counts of one poll at one revision: absolute, so the highest revision is all one needs.
package struct Tally: Sendable, Equatable {
    package var pollID: PollID
    package var revision: Int64
    /// Ballots, not marks.
    package var ballots: Int64
    /// Marks per option, by position.
    package var counts: [Int64]
    /// When the oldest ballot of the commit that gave this revision reached its gateway, or when the
    /// tally was read; Unix milliseconds.
    package var at: Int64

    package init(pollID: PollID, revision: Int64, ballots: Int64, counts: [Int64], at: Int64) {
        self.pollID = pollID
        self.revision = revision
        self.ballots = ballots
        self.counts = counts
        self.at = at
    }

    /// Whether this one replaces `other`.
    package func isNewer(than other: Tally) -> Bool { revision > other.revision }

    /// The revision after `revision`: higher, and never below the clock, so that a restored backup
    /// does not go back. `now`: Unix milliseconds by the database.
    package static func nextRevision(after revision: Int64, now: Int64) -> Int64 {
        max(revision + 1, now)
    }
}

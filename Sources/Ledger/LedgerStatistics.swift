import Polls
import Telemetry

/// The ledger's counters, since the start.
final class LedgerStatistics: Sendable {
    enum Outcome: String, CaseIterable {
        case counted, repeated, changed, rejected, overloaded
        case alreadyVoted = "already_voted"
        case storageUnavailable = "storage_unavailable"
        case commitUnknown = "commit_unknown"

        init(_ outcome: BallotOutcome) {
            self =
                switch outcome {
                case .counted: .counted
                case .repeated: .repeated
                case .changed: .changed
                case .alreadyVoted: .alreadyVoted
                case .rejected: .rejected
                case .overloaded: .overloaded
                case .storageUnavailable: .storageUnavailable
                case .commitUnknown: .commitUnknown
                }
        }
    }

    let outcomes = CounterFamily<Outcome>()
    let refused = Counter()
    let expired = Counter()
    let settledLate = Counter()
    let failedCommits = Counter()
    /// Ballots.
    let batchSizes = Histogram(bounds: [1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000])
    /// Nanoseconds.
    let commitLatencies = Histogram(bounds: Histogram.latencyBounds)
    /// Nanoseconds: of each tally, how long ago the oldest ballot that it is the first to count had
    /// come in.
    let voteToPublish = Histogram(bounds: Histogram.latencyBounds)

    func count(_ answers: [SettledBallot]) {
        for answer in answers { outcomes[Outcome(answer.outcome)].add() }
    }

    /// - Parameter now: Unix milliseconds, the unit in which ballots are stamped.
    func count(_ tallies: [Tally], at now: Int64) {
        for tally in tallies { voteToPublish.observe(max(0, now - tally.at) * 1_000_000) }
    }

    func write(to text: inout MetricsText) {
        text.counter(
            "pollstream_ballots_total", "Ballots that reached the ledger, by what became of them.",
            by: "outcome", outcomes)
        text.counter(
            "pollstream_ledger_refused_ballots_total",
            "Ballots not taken: the ledger was full, or draining.", refused.value)
        text.counter(
            "pollstream_ledger_late_ballots_total",
            "Ballots settled after they were answered commit_unknown.", settledLate.value)
        text.counter(
            "pollstream_ledger_failed_commits_total",
            "Attempts to commit that failed or whose end is unknown.", failedCommits.value)
        text.histogram(
            "pollstream_ledger_batch_ballots", "Ballots in one committed batch.", batchSizes)
        text.histogram(
            "pollstream_ledger_commit_seconds", "Time one successful commit took.",
            commitLatencies, unitsPerBase: 1e9)
        text.histogram(
            "pollstream_vote_to_publish_seconds",
            "From the last byte of a tally's oldest new ballot to the tally, in whole milliseconds.",
            voteToPublish, unitsPerBase: 1e9)
    }
}

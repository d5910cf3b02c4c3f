import Polls
import Threads

/// Ballots that commit together, from the first attempt until the last is settled. Reads no clock,
/// touches no store.
///
///     empty ──append──▶ attempting ──committed──▶ empty
///                        ▲      │
///                     retry   failed
///                        │      ▼
///                        pausing ──retry, and nothing is left──▶ empty
///
/// Each ballot is answered once: by the commit, or by `expire` when its deadline passes first. Who
/// is not stored for certain, and in no attempt, leaves as unavailable. Who may be stored is told so
/// and stays, so that its tally is right in the end: settling it again is harmless because of its
/// key.
struct Batch {
    enum Action: Equatable {
        case idle
        case commit(WaitingBallots)
        /// Then `retry`.
        case retryAfter(nanoseconds: Int64)
        case answer([SettledBallot])
    }

    enum Failure: Equatable {
        /// Nothing was stored.
        case unavailable
        case commitUnknown
    }

    enum Phase: Equatable { case empty, attempting, pausing }

    private(set) var phase = Phase.empty
    private var waiting = WaitingBallots()
    /// So many at the front have been told that their commit is unknown. They expire in order.
    private var answeredCount = 0
    /// An attempt ended without saying whether it was stored.
    private var isUncertain = false
    private var backoff: Backoff

    init(backoff: Backoff) { self.backoff = backoff }

    var count: Int { waiting.count }

    /// Of those that still want an answer.
    var earliestDeadline: Int64? {
        answeredCount < count ? waiting.deadlines[answeredCount] : nil
    }

    /// An empty batch takes ballots and commits at once.
    mutating func append(_ arrived: WaitingBallots) -> Action {
        precondition(phase == .empty && !arrived.isEmpty, "append: \(phase)")
        waiting = arrived
        phase = .attempting
        return .commit(waiting)
    }

    /// - Parameter outcomes: of all ballots of the attempt, in their order.
    /// - Returns: the answers to those who still wait for one.
    mutating func committed(_ outcomes: [BallotOutcome]) -> Action {
        precondition(phase == .attempting && outcomes.count == count, "committed: \(phase)")
        let answers = (answeredCount..<count).map { settled($0, outcomes[$0]) }
        empty()
        backoff.reset()
        return answers.isEmpty ? .idle : .answer(answers)
    }

    /// - Parameter random: 0 to 1, for the delay.
    mutating func failed(_ failure: Failure, random: Double) -> Action {
        precondition(phase == .attempting, "failed: \(phase)")
        phase = .pausing
        isUncertain = isUncertain || failure == .commitUnknown
        return .retryAfter(nanoseconds: backoff.next(random: random))
    }

    /// The delay is over.
    mutating func retry() -> Action {
        precondition(phase == .pausing, "retry: \(phase)")
        if waiting.isEmpty {
            empty()
            return .idle
        }
        phase = .attempting
        return .commit(waiting)
    }

    /// Answers those whose deadline has passed. In any phase; often, and late, does no harm.
    mutating func expire(at now: Int64) -> Action {
        let expired =
            answeredCount..<answeredCount + waiting.expiredCount(at: now, from: answeredCount)
        if expired.isEmpty { return .idle }
        if phase == .pausing && !isUncertain {
            let answers = expired.map { settled($0, .storageUnavailable) }
            waiting.remove(expired)
            return .answer(answers)
        }
        answeredCount = expired.upperBound
        return .answer(expired.map { settled($0, .commitUnknown) })
    }

    /// Forgets ballots that nobody waits for, at the end of a drain that storage does not see.
    /// - Returns: how many; nil while it attempts, or while somebody waits for an answer.
    mutating func giveUp() -> Int? {
        guard phase == .pausing, answeredCount == count else { return nil }
        defer { empty() }
        return count
    }

    private mutating func empty() {
        waiting = WaitingBallots()
        answeredCount = 0
        isUncertain = false
        phase = .empty
    }

    private func settled(_ index: Int, _ outcome: BallotOutcome) -> SettledBallot {
        let ballot = waiting.ballots[index]
        return SettledBallot(
            ticket: ballot.ticket, pollID: ballot.pollID, key: ballot.key, outcome: outcome)
    }
}

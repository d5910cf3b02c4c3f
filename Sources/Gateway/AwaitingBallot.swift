import Polls
import Reactor

/// Subscribers of an `after_vote` poll that have not voted, by the key of their own identity, and
/// when the catalogue is to be asked for the ballot of each: once it comes, again where the question
/// was refused, and now and then as long as it waits, since the word of a ballot may be lost.
///
/// Connections that are gone stay until the table is swept: nothing tells a board that one left.
struct AwaitingBallot {
    /// Questions under way or refused: each answer brings the next, so that the catalogue sets the
    /// pace, and one that refuses is left in peace for a while.
    static let questionLimit = 16

    private struct Voter {
        var connections: [ConnectionID] = []
        /// Stands in `due` or `refused`.
        var isDue = false
        /// Stands in `asked` or `askedEarlier`.
        var isAsked = false
    }

    private var voters: [VoterKey: Voter] = [:]
    private var connectionCount = 0
    /// The last is asked for next.
    private var due: [VoterKey] = []
    /// Got no answer.
    private var refused: [VoterKey] = []
    /// Had no ballot then; a queue: from the end of the one, and then from the start of the other.
    private var askedEarlier: [VoterKey] = []
    private var asked: [VoterKey] = []
    private var questionCount = 0

    /// What it takes room for.
    var count: Int {
        max(connectionCount, due.count + refused.count + askedEarlier.count + asked.count)
    }

    mutating func insert(_ connection: ConnectionID, _ voter: VoterKey) {
        if !(voters[voter]?.connections.contains(connection) ?? false) {
            voters[voter, default: Voter()].connections.append(connection)
            connectionCount += 1
        }
        makeDue(voter)
    }

    /// Those of a voter whose ballot is stored.
    mutating func remove(_ voter: VoterKey) -> [ConnectionID] {
        let found = voters.removeValue(forKey: voter)?.connections ?? []
        connectionCount -= found.count
        return found
    }

    /// Keeps those that still wait.
    mutating func sweep(keeping isWaiting: (ConnectionID) -> Bool) {
        voters = voters.compactMapValues { voter in
            var kept = voter
            kept.connections.removeAll { !isWaiting($0) }
            return kept.connections.isEmpty ? nil : kept
        }
        connectionCount = voters.values.reduce(0) { $0 + $1.connections.count }
        due.removeAll { voters[$0] == nil }
        refused.removeAll { voters[$0] == nil }
        askedEarlier.removeAll { voters[$0] == nil }
        asked.removeAll { voters[$0] == nil }
    }

    // MARK: Questions

    /// - Returns: whom to ask for now; `settle` has to follow. Nil where enough questions are under
    ///   way.
    mutating func takeQuestion() -> VoterKey? {
        while questionCount + refused.count < Self.questionLimit, let voter = due.popLast() {
            // Otherwise its ballot has become known.
            guard voters[voter]?.isDue ?? false else { continue }
            voters[voter]?.isDue = false
            questionCount += 1
            return voter
        }
        return nil
    }

    /// - Parameter exists: whether there is a ballot; nil where nobody could tell.
    mutating func settle(_ voter: VoterKey, exists: Bool?) {
        // Less than one where all had left, and others came meanwhile.
        questionCount = max(0, questionCount - 1)
        guard let known = voters[voter] else { return }
        if exists == nil, !known.isDue {
            voters[voter]?.isDue = true
            refused.append(voter)
        } else if exists == false, !known.isAsked {
            voters[voter]?.isAsked = true
            asked.append(voter)
        }
    }

    /// What was refused is to be asked again.
    mutating func forgiveRefusals() {
        due += refused
        refused.removeAll()
    }

    /// Those that were asked for the longest ago are to be asked for again.
    /// - Returns: how many, of at most `limit`.
    @discardableResult
    mutating func askAgain(limit: Int = .max) -> Int {
        var count = 0
        while count < limit, let voter = takeLongestAsked() {
            makeDue(voter)
            count += 1
        }
        return count
    }

    private mutating func takeLongestAsked() -> VoterKey? {
        if askedEarlier.isEmpty {
            swap(&askedEarlier, &asked)
            askedEarlier.reverse()
        }
        while let voter = askedEarlier.popLast() {
            guard voters[voter]?.isAsked ?? false else { continue }
            voters[voter]?.isAsked = false
            return voter
        }
        return nil
    }

    private mutating func makeDue(_ voter: VoterKey) {
        if voters[voter]?.isDue ?? true { return }
        voters[voter]?.isDue = true
        due.append(voter)
    }
}

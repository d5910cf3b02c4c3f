import Polls
import Reactor

/// Subscribers of an `after_vote` poll that have not voted, by the key of their own identity.
///
/// Connections that are gone stay until the table is swept: nothing tells a board that one left.
struct AwaitingBallot {
    private var connections: [VoterKey: [ConnectionID]] = [:]
    private(set) var count = 0

    mutating func insert(_ connection: ConnectionID, _ voter: VoterKey) {
        if connections[voter]?.contains(connection) ?? false { return }
        connections[voter, default: []].append(connection)
        count += 1
    }

    /// Those of a voter whose ballot is stored.
    mutating func remove(_ voter: VoterKey) -> [ConnectionID] {
        guard let found = connections.removeValue(forKey: voter) else { return [] }
        count -= found.count
        return found
    }

    /// Keeps those that still wait.
    mutating func sweep(keeping isWaiting: (ConnectionID) -> Bool) {
        connections = connections.compactMapValues { all in
            let kept = all.filter(isWaiting)
            return kept.isEmpty ? nil : kept
        }
        count = connections.values.reduce(0) { $0 + $1.count }
    }
}

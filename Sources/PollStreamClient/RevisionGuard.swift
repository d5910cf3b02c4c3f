/// Lets pass what is newer than all that came of the same poll: after a reconnect, perhaps through
/// another gateway, nobody is shown a step back. Reads no clock, touches no socket.
struct RevisionGuard {
    private var revisions: [Int64: Int64] = [:]

    /// - Returns: whether it may be shown.
    mutating func admit(_ event: LiveEvent) -> Bool {
        switch event {
        // Equal is let pass: a snapshot for who asked again, the close at its tally's revision.
        case .snapshot(let poll): admit(poll.id, poll.revision, orEqual: true)
        case .tally(let tally): admit(tally.pollID, tally.revision, orEqual: false)
        case .state(let id, let revision, _): admit(id, revision, orEqual: true)
        case .viewers, .connected, .disconnected: true
        }
    }

    private mutating func admit(_ id: Int64, _ revision: Int64, orEqual: Bool) -> Bool {
        if let known = revisions[id], revision < known || (revision == known && !orEqual) {
            return false
        }
        revisions[id] = revision
        return true
    }
}

import Polls

/// What other gateways commit to the same store is read from it: once a second for all boards that
/// are watched, in one question, and idle boards are kept no longer than that.
extension Gateway {
    static let refreshNanoseconds: UInt64 = 1_000_000_000

    func refreshBoards(at nowNanoseconds: UInt64) {
        // One question at a time: behind a slow store they would pile up.
        guard settings.sharesStore, secrets != nil, !isRefreshing,
            nowNanoseconds >= refreshDueNanoseconds
        else { return }
        refreshDueNanoseconds = nowNanoseconds + Self.refreshNanoseconds
        boards.removeIdle()
        if boards.watched.isEmpty { return }
        isRefreshing = true
        refresh(boards.watched) { [unowned self] in isRefreshing = false }
    }

    /// Another gateway has said that these are not what they were.
    func lookUp(_ ids: [PollID]) {
        var watched: [Board] = []
        for id in ids {
            boards.forget(unknown: id)
            guard let board = boards.board(id) else { continue }
            if board.isIdle { boards.remove(id) } else { watched.append(board) }
        }
        if !watched.isEmpty { refresh(watched) {} }
    }

    private func refresh(_ watched: [Board], then: @escaping () -> Void) {
        let known = watched.map { KnownPoll($0.poll) }
        ask(.refresh(known)) { [unowned self] answer in
            then()
            // Refused: all of them are asked for within a second.
            guard case .refreshed(let refreshed) = answer else { return }
            for record in refreshed.changed { adopt(record) }
            for id in refreshed.gone {
                guard let board = boards.board(id) else { continue }
                hearDeletion(of: id, revision: board.poll.newestRevision + 1)
            }
        }
    }
}

extension Poll {
    /// Of all that changed it.
    fileprivate var newestRevision: Int64 { max(tally.revision, shownRevision) }
}

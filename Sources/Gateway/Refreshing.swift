import Polls

/// What other gateways commit to the same store is read from it: once a second for all boards that
/// are watched, in one question, and idle boards are kept no longer than that. So are ballots whose
/// voters wait to see the counts, a few at a time.
extension Gateway {
    static let refreshNanoseconds: UInt64 = 1_000_000_000
    /// Each second, on each loop.
    private static let repeatedQuestionCount = 16

    func refreshBoards(at nowNanoseconds: UInt64) {
        guard secrets != nil, nowNanoseconds >= refreshDueNanoseconds else { return }
        refreshDueNanoseconds = nowNanoseconds + Self.refreshNanoseconds
        askForBallotsAgain()
        // One question at a time: behind a slow store they would pile up.
        guard settings.sharesStore, !isRefreshing else { return }
        boards.removeIdle()
        if boards.watched.isEmpty { return }
        isRefreshing = true
        refresh(boards.watched) { [unowned self] in isRefreshing = false }
    }

    /// Somebody who waits for the counts may have voted all the same, and the word of it was lost: on
    /// its way from another gateway, or with the answer of a store that failed. A few of them are asked
    /// for each second, one after the other.
    private func askForBallotsAgain() {
        var left = Self.repeatedQuestionCount
        for _ in boards.watched.indices where left > 0 {
            ballotCursor = (ballotCursor + 1) % boards.watched.count
            let board = boards.watched[ballotCursor]
            left -= board.watchers.awaitingBallot.askAgain(limit: left)
            askForBallots(in: board)
        }
    }

    /// Another gateway has said that these are not what they were, or Redis that from now on nothing of
    /// them is missed.
    func lookUp(_ ids: [PollID]) {
        var watched: [Board] = []
        for id in ids {
            boards.forget(unknown: id)
            guard let board = boards.board(id) else { continue }
            if board.isIdle {
                boards.remove(id)
            } else {
                watched.append(board)
                board.watchers.awaitingBallot.askAgain()
                askForBallots(in: board)
            }
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

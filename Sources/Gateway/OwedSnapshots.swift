import Polls
import Reactor

/// Polls that a socket has asked for and is not attached to yet, because their snapshots would not
/// fit into its outbox beside what it has yet to read. Attached in order, as it reads.
struct OwedSnapshots {
    /// Pinned, each for this place.
    fileprivate var boards: ArraySlice<Board>
    fileprivate let subscription: Gateway.Subscription
}

extension Gateway {
    /// Attaches a socket to boards, as many at once as its outbox has room for.
    func attach(_ connection: ConnectionID, to boards: [Board], for subscription: Subscription) {
        // Behind those that wait, so that snapshots come in the order of the requests.
        var rest = boards[...]
        if owedSnapshots[connection] == nil {
            attachFitting(connection, &rest, for: subscription)
        }
        if rest.isEmpty { return }
        for board in rest {
            board.pinCount += 1
            self.boards.settle(board)
        }
        sockets[connection].pendingSubscriptionCount += UInt16(rest.count)
        owedSnapshots[connection, default: []].append(
            OwedSnapshots(boards: rest, subscription: subscription))
    }

    /// Goes on where sockets have read; about ten times a second.
    func payOwedSnapshots() {
        for connection in Array(owedSnapshots.keys) {
            while var owed = owedSnapshots[connection]?.first {
                let before = owed.boards
                attachFitting(connection, &owed.boards, for: owed.subscription)
                release(before.dropLast(owed.boards.count), of: connection)
                owedSnapshots[connection]?[0] = owed
                if !owed.boards.isEmpty { break }
                owedSnapshots[connection]?.removeFirst()
            }
            if owedSnapshots[connection]?.isEmpty ?? false { owedSnapshots[connection] = nil }
        }
    }

    /// Who has left a poll, or is gone, is owed nothing more.
    func forgetOwedSnapshots(of connection: ConnectionID, where isForgotten: (PollID) -> Bool) {
        guard let owed = owedSnapshots[connection] else { return }
        let kept = owed.map { one in
            var one = one
            one.boards = one.boards.filter { !isForgotten($0.id) }[...]
            return one
        }
        release(owed.flatMap(\.boards).filter { isForgotten($0.id) }[...], of: connection)
        owedSnapshots[connection] = kept.contains { !$0.boards.isEmpty } ? kept : nil
    }

    private func attachFitting(
        _ connection: ConnectionID, _ boards: inout ArraySlice<Board>,
        for subscription: Subscription
    ) {
        // Half is left to answers, pongs and what is published meanwhile.
        while let board = boards.first,
            loop.hasUnsent(atMost: settings.outboxBytes / 2, to: connection) ?? false
        {
            boards.removeFirst()
            if board.isDeleted {
                sendError(
                    .pollNotFound, to: connection, subscription.reference, poll: board.id)
                continue
            }
            attach(
                connection, to: board, hostKeyHash: subscription.hostKeyHash,
                since: subscription.since, reference: subscription.reference)
        }
    }

    private func release(_ boards: ArraySlice<Board>, of connection: ConnectionID) {
        for board in boards {
            board.pinCount -= 1
            self.boards.settle(board)
        }
        if loop.kind(of: connection) == .webSocket {
            sockets[connection].pendingSubscriptionCount -= UInt16(boards.count)
        }
    }
}

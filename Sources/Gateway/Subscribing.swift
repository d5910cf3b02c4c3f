import Polls
import Reactor

/// A `subscribe` whose boards are on their way.
final class PendingSubscription {
    /// What is still wanted: an `unsubscribe` meanwhile takes ids away.
    fileprivate(set) var wanted: Set<PollID>

    fileprivate init(_ ids: [PollID]) { wanted = Set(ids) }
}

extension Gateway {
    /// What a WebSocket asks for with one `subscribe`, or by its path.
    struct Subscription {
        /// Each once.
        var ids: [PollID]
        var hostKeyHash: [UInt8]?
        /// The revision that the subscriber has: it needs no snapshot of the same.
        var since: Int64?
        /// JSON, as it was sent.
        var reference: String?
        /// The poll is named by the path: an unknown one closes the socket.
        var isByPath = false
    }

    /// Subscribes to all polls or none, and sends a snapshot of each.
    func subscribe(_ connection: ConnectionID, _ subscription: Subscription) {
        let ids = subscription.ids
        guard hasRoom(connection, for: ids) else {
            return sendError(.tooManySubscriptions, to: connection, subscription.reference)
        }
        if let boards = liveBoards(ids) { return finish(subscription, of: connection, boards) }
        let pending = PendingSubscription(ids)
        pendingSubscriptions[connection, default: []].append(pending)
        sockets[connection].unansweredCount += 1
        sockets[connection].pendingSubscriptionCount += UInt16(ids.count)
        withBoards(ids) { [unowned self] lookups in
            // Gone by now, and its slot perhaps another's.
            guard loop.kind(of: connection) == .webSocket else { return }
            endPending(pending, of: connection, count: ids.count)
            if let found = boards(lookups, for: subscription, of: connection) {
                finish(
                    subscription, of: connection, found.filter { pending.wanted.contains($0.id) })
            }
        }
    }

    /// Takes effect also on what is still loading.
    func unsubscribe(_ connection: ConnectionID, from ids: [PollID]) {
        for pending in pendingSubscriptions[connection] ?? [] { pending.wanted.subtract(ids) }
        forgetOwedSnapshots(of: connection, where: ids.contains)
        for id in ids {
            guard let board = boards.board(id) else { continue }
            for audience in Audience.allCases {
                board.watchers[audience, .webSocket]?.unsubscribe(connection)
            }
        }
    }

    /// Puts a subscriber into an audience, and sends it what it does not know. Who is there already,
    /// or in a higher one, stays and gets the snapshot again.
    func attach(
        _ connection: ConnectionID, to board: Board, as audience: Audience, since: Int64? = nil,
        reference: String? = nil
    ) {
        let encoding = sockets[connection].encoding
        let earlier = board.watchers.audience(of: connection, encoding)
        let audience = max(audience, earlier ?? audience)
        if let earlier, earlier != audience {
            board.watchers[earlier, encoding]?.unsubscribe(connection)
        }
        let topic = board.watchers.topic(audience, encoding, on: loop)
        boards.settle(board)
        switch topic.subscribe(connection) {
        case .subscribed, .alreadySubscribed: break
        case .gone: return
        case .tooMany: return sendError(.tooManySubscriptions, to: connection, reference)
        }
        sendSnapshot(of: board, as: audience, to: connection, since, reference)
        if earlier == nil { sendViewers(of: board, to: connection) }
    }

    /// The boards, or nil where one is missing: the subscriber is told which.
    private func boards(
        _ lookups: [BoardLookup], for subscription: Subscription, of connection: ConnectionID
    ) -> [Board]? {
        var found: [Board] = []
        for (id, lookup) in zip(subscription.ids, lookups) {
            let error: APIError
            switch lookup {
            case .board(let board):
                found.append(board)
                continue
            case .notFound: error = .pollNotFound
            case .refused(let refusal): error = APIError.of(refusal)
            }
            if subscription.isByPath {
                let code: UInt16 = error.status == 404 ? 4404 : 1013
                loop.close(connection, code: code, reason: error.code)
            } else {
                sendError(error, to: connection, subscription.reference, poll: id)
            }
            return nil
        }
        return found
    }

    private func finish(
        _ subscription: Subscription, of connection: ConnectionID, _ found: [Board]
    ) {
        let hostKeyHash = subscription.hostKeyHash
        if let hostKeyHash, !found.contains(where: { isHost(hostKeyHash, of: $0) }) {
            return sendError(.forbidden, to: connection, subscription.reference)
        }
        guard hasRoom(connection, for: found.map(\.id)) else {
            return sendError(.tooManySubscriptions, to: connection, subscription.reference)
        }
        attach(connection, to: found, for: subscription)
    }

    /// Whether the polls among `ids` that are new to it fit, beside what it is about to get.
    private func hasRoom(_ connection: ConnectionID, for ids: [PollID]) -> Bool {
        let count = loop.subscriptionCount(of: connection) ?? 0
        let pending = Int(sockets[connection].pendingSubscriptionCount)
        let room = settings.subscriptionCount - count - pending
        // Counting what is new takes a look at each: only where it may matter.
        if ids.count <= room { return true }
        let newCount = ids.count {
            boards.board($0)?.watchers.audience(of: connection, .webSocket) == nil
        }
        return newCount <= room
    }

    private func endPending(
        _ pending: PendingSubscription, of connection: ConnectionID, count: Int
    ) {
        sockets[connection].unansweredCount -= 1
        sockets[connection].pendingSubscriptionCount -= UInt16(count)
        pendingSubscriptions[connection]?.removeAll { $0 === pending }
        if pendingSubscriptions[connection]?.isEmpty ?? false {
            pendingSubscriptions[connection] = nil
        }
    }

    private func sendSnapshot(
        of board: Board, as audience: Audience, to connection: ConnectionID, _ since: Int64?,
        _ reference: String?
    ) {
        let poll = board.poll
        let view = poll.view(for: audience)
        if since == poll.revision(in: view), poll.isNamedByRevision(in: view) { return }
        if let reference {
            return sendText(to: connection) {
                $0.writeSnapshot(of: poll, view: view, reference: reference)
            }
        }
        let snapshot = board.watchers.snapshot(
            of: poll, view, sockets[connection].encoding, with: &frames, on: loop)
        loop.send(snapshot.frame, to: connection)
    }

    private func sendViewers(of board: Board, to connection: ConnectionID) {
        let subscriberCount = board.watchers.subscriberCount
        let total = shared.viewers.set(subscriberCount, of: board.id, from: Int(loopIndex))
        // The only one here needs not be told again.
        if subscriberCount == 1 { board.watchers.announcedViewerCount = total }
        send("viewers", to: connection) { $0.writeViewers(total, of: board.id) }
    }
}

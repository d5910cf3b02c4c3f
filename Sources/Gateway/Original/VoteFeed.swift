import JSON
import Polls
import Reactor

/// `/ws/global/`: a notice of counted votes in polls whose results everybody may see, from all
/// gateways, so many a second; a busier moment is sampled.
///
///     a vote is queued ─ there is room ─► note ─ counted ─► this loop, the others, other gateways
///                                                └ else ─► the room is given back
struct VoteFeed {
    /// Votes under way that will be told of, by the number of their ticket: no more are taken in a
    /// second than the rate.
    fileprivate var notes: [UInt32: VoteNotice] = [:]
    /// What is to be told, once its polls are here.
    fileprivate var due: [VoteNotice] = []
    /// What is told at the end of this turn.
    fileprivate var ready: [(notice: VoteNotice, poll: Poll)] = []
    /// nil until somebody listens.
    fileprivate var topic: Topic?

    fileprivate var hasListeners: Bool { topic.map { $0.subscriberCount > 0 } ?? false }
}

extension Gateway {
    func openFeed(_ request: borrowing Request, _ exchange: Exchange) {
        guard settings.feed != .off else { return exchange.send(.notFound) }
        do {
            try admitHandshake(request)
            try takeHandshake(of: request, nil)
        } catch {
            return exchange.refuseLive(error)
        }
        guard begin(.feed, exchange, viewer: Viewer(), []) else { return }
        takeClient(of: request, exchange.connection)
        let topic = feed.topic ?? Topic(on: loop)
        feed.topic = topic
        _ = topic.subscribe(exchange.connection)  // one that is gone is reported closed
    }

    /// Whether a vote that is about to be queued may be told of. Most may not, and cost a look.
    func wantsNote(of ballot: Ballot) -> Bool {
        guard settings.feed != .off,
            let poll = boards.board(ballot.pollID)?.poll, poll.showsCountsToEverybody
        else { return false }
        return shared.feedPacer.take(at: loop.nowNanoseconds)
    }

    func note(_ ballot: Ballot, named name: String?, _ number: UInt32) {
        feed.notes[number] = VoteNotice(
            pollID: ballot.pollID, position: ballot.choices.mask.trailingZeroBitCount,
            voter: settings.feed == .names ? name ?? "" : "")
    }

    /// The vote was not queued.
    func dropNote(_ number: UInt32) {
        if feed.notes.removeValue(forKey: number) != nil { shared.feedPacer.giveBack() }
    }

    func settleNote(_ number: UInt32, _ outcome: BallotOutcome) {
        guard !feed.notes.isEmpty, let notice = feed.notes.removeValue(forKey: number) else {
            return
        }
        guard case .counted = outcome else { return shared.feedPacer.giveBack() }
        hear([notice])
        doors.tellOthers(.counted([notice]), loopIndex)
        doors.tellGateways(notice)
    }

    func hear(_ notices: [VoteNotice]) {
        if feed.hasListeners { feed.due += notices }
    }

    /// At the end of each turn in which answers came. All of a turn goes in one frame: of two frames a
    /// listener would only get the second. Polls that have to be read are told of in a later turn.
    func publishFeed() {
        if !feed.due.isEmpty { prepareDue() }
        guard !feed.ready.isEmpty, let topic = feed.topic else { return }
        frames.begin(.webSocket)
        for (notice, poll) in feed.ready {
            frames.add("vote_notification") {
                $0.write(notice, of: poll, isNamed: settings.feed == .names)
            }
        }
        feed.ready.removeAll(keepingCapacity: true)
        let frame = frames.frame(on: loop)
        topic.publishState(frame, snapshot: frame, supersedesTally: false)
    }

    private func prepareDue() {
        let due = feed.due
        feed.due.removeAll(keepingCapacity: true)
        withBoards(due.map(\.pollID)) { [unowned self] lookups in
            for (notice, lookup) in zip(due, lookups) {
                guard case .board(let board) = lookup, board.poll.showsCountsToEverybody,
                    board.poll.options.indices.contains(notice.position)
                else { continue }
                feed.ready.append((notice, board.poll))
            }
        }
    }
}

extension JSONWriter {
    fileprivate mutating func write(_ notice: VoteNotice, of poll: Poll, isNamed: Bool) {
        let option = poll.options[notice.position]
        restart()
        beginObject()
        member("type", "vote_notification")
        member("voter_name", isNamed && !notice.voter.isEmpty ? notice.voter : "Anonymous")
        member("poll_id", poll.id.rawValue)
        member("poll_text", poll.title)
        member("option_id", option.id)
        member("option_text", option.text)
        endObject()
    }
}

import Identity
import JSON
import Polls
package import Reactor
import Threads

/// The front door of one loop: routes requests, holds the boards of the polls that are watched or
/// voted on here, and gives answers back to who waits for them. Confined to its loop's thread.
///
/// What happens goes through four verbs: a request is routed (`Router`), a message of a WebSocket
/// is obeyed (`LiveMessages`), an inbox is emptied (`answer`, `hear`), and time passes (`tick`).
package final class Gateway {
    package let settings: GatewaySettings
    let origins: Origins
    let doors: Doors
    /// What the loops of a process have in common.
    let shared: Shared
    package let statistics = GatewayStatistics()
    /// Set once by `attach`, before the loop runs.
    private(set) var loop: Loop!
    let loopIndex: UInt32
    /// nil until the store could be reached: till then requests are refused before they need them.
    private(set) var secrets: Secrets!
    private var inbox: Inbox<LoopMessage>!
    /// What was taken out of it and not come to yet.
    private var arrived: [LoopMessage] = []
    private var waiting = WaitingTable()

    // The live half.
    var boards: BoardTable
    var sockets = LiveSockets()
    var owedSnapshots: [ConnectionID: [OwedSnapshots]] = [:]
    var pendingSubscriptions: [ConnectionID: [PendingSubscription]] = [:]
    var knownBallots: KnownBallots
    var ballotIDs = BallotIDs()
    var feed = VoteFeed()
    var draining = Draining()
    var retiredTopics = RetiredTopics()
    // The HTTP half.
    var changes = ChangesUnderWay()
    var exports: [ConnectionID: BallotExport] = [:]
    var countedAddresses: [ConnectionID: ClientAddress] = [:]
    // Used again for every message and body, so that reading and writing one allocates nothing.
    let document = JSONDocument(valueCapacity: 4096)
    var frames = FrameWriter()
    /// Those of the services that this process has.
    let publicRoutes: [Route]
    // Where the visits of watched boards stand.
    var visitCursor = 0
    var visitsDue = 0.0
    private var lastTickNanoseconds: UInt64?
    // What other gateways did.
    var isRefreshing = false
    var refreshDueNanoseconds: UInt64 = 0
    var ballotCursor = 0

    package init(loopIndex: Int, settings: GatewaySettings, doors: Doors, shared: Shared) {
        self.loopIndex = UInt32(loopIndex)
        self.settings = settings
        origins = Origins(
            allowed: settings.allowedOrigins, publicURL: settings.publicURL,
            endsTLS: settings.endsTLS)
        self.doors = doors
        self.shared = shared
        publicRoutes = Routes.publicAPI.filter { settings.services.contains($0.service) }
        secrets = shared.secrets
        boards = BoardTable(settings: settings, watchedChanged: doors.watch)
        knownBallots = KnownBallots(limit: settings.knownBallotCount)
    }

    deinit {
        // Topics and frames go before the loop that they belong to, also those that answers which
        // never came hold.
        waiting = WaitingTable()
        owedSnapshots = [:]
        feed = VoteFeed()
        boards = BoardTable(settings: settings)
        retiredTopics = RetiredTopics()
    }

    /// - Returns: the inbox through which other threads reach this loop.
    package func attach(to loop: Loop) -> Inbox<LoopMessage> {
        self.loop = loop
        let inbox = Inbox<LoopMessage>(waker: loop.waker)
        self.inbox = inbox
        return inbox
    }

    // MARK: Asking the rooms behind

    /// What a poll of a page takes while it is under way to its loop, about: texts of a usual length.
    private static let listedPollBytes = 8_192

    /// Asks the catalogue for a page. Whoever asks for hundreds and reads none would fill the memory with
    /// pages that wait to be written, so that they are counted with the buffers.
    func askForPage(
        _ page: ListPage, of filter: PollFilter, then: @escaping (CatalogueAnswer) -> Void
    ) {
        let budget = loop.budget
        let bytes = page.size * Self.listedPollBytes
        guard budget.reserve(bytes: bytes) else { return then(.refused(.overloaded)) }
        ask(.list(filter, page: page.number, pageSize: page.size)) { answer in
            budget.release(bytes: bytes)
            then(answer)
        }
    }

    /// Asks the catalogue. `then` runs on this loop, at once with `.overloaded` where it is full.
    func ask(_ request: CatalogueRequest, then: @escaping (CatalogueAnswer) -> Void) {
        let number = waiting.insert(.catalogue(then))
        if !doors.ask(request, Ticket(loop: loopIndex, number: number)) {
            _ = waiting.remove(number)
            then(.refused(.overloaded))
        }
    }

    /// Hands an admitted ballot to the ledger; its ticket is made here.
    /// - Returns: false where the queue is full, and then nobody is answered.
    func enqueue(_ ballot: Ballot, of vote: Vote, _ waiter: WaitingTable.Waiter) -> Bool {
        let number = waiting.insert(waiter)
        var ballot = ballot
        ballot.ticket = Ticket(loop: loopIndex, number: number)
        if wantsNote(of: ballot) { note(ballot, named: vote.name, number) }
        if doors.enqueue(ballot) { return true }
        dropNote(number)
        _ = waiting.remove(number)
        return false
    }
}

extension Gateway: LoopHandler {
    package func loop(
        _ loop: Loop, received request: borrowing Request, on connection: ConnectionID
    ) {
        route(request, on: connection)
    }

    package func loop(
        _ loop: Loop, refused connection: ConnectionID, sequence: UInt32, status: Int
    ) {
        answerRefused(connection, sequence: sequence, status: status)
    }

    package func loop(_ loop: Loop, received message: Message, on connection: ConnectionID) {
        switch sockets[connection].kind {
        case .webSocket: obey(message, from: connection)
        case .echo: echo(message, to: connection)
        case .feed, .eventStream, .none: break
        }
    }

    package func loop(_ loop: Loop, isWritable connection: ConnectionID) {
        resumeStream(connection)
    }

    package func loop(_ loop: Loop, closed connection: ConnectionID) {
        pendingSubscriptions[connection] = nil
        forgetOwedSnapshots(of: connection) { _ in true }
        sockets.remove(connection)
        forgetStream(connection)
    }

    /// Takes what has arrived, in order, but no more than a turn has time for: pages of long polls by the
    /// thousand would keep everybody else waiting.
    package func loopDidWake(_ loop: Loop) {
        let isRest = !arrived.isEmpty
        if !isRest { inbox.drain(into: &arrived) }
        // Taken out of the property, so that the storage is ours alone when it is used again.
        var batch: [LoopMessage] = []
        swap(&batch, &arrived)
        let end = Clock.monotonicNanoseconds() + settings.wakeNanoseconds
        var count = 0
        while count < batch.count, count == 0 || Clock.monotonicNanoseconds() < end {
            receive(batch[count])
            count += 1
        }
        publishFeed()
        // Who wrote behind a rest has woken us already.
        if isRest || count < batch.count { loop.waker.wake() }
        if count < batch.count {
            batch.removeFirst(count)
        } else {
            batch.removeAll(keepingCapacity: count < 1024)
        }
        swap(&batch, &arrived)
    }

    package func loopDidTick(_ loop: Loop, nowNanoseconds: UInt64) {
        let elapsed = nowNanoseconds - (lastTickNanoseconds ?? nowNanoseconds)
        lastTickNanoseconds = nowNanoseconds
        visitWatchedBoards(elapsedNanoseconds: elapsed)
        refreshBoards(at: nowNanoseconds)
        payOwedSnapshots()
        retiredTopics.removeExpired(at: nowNanoseconds)
        drainStep(at: nowNanoseconds)
    }

    private func receive(_ message: LoopMessage) {
        switch message {
        case .settled(let ballots): for ballot in ballots { answer(ballot) }
        case .answered(let reply): answer(reply)
        case .happened(let event): hear(event)
        case .heard(let tallies, let changed):
            for tally in tallies { take(tally, isOwn: false) }
            lookUp(changed)
        case .voted(let poll, let key): learn(ballot: key, of: poll)
        case .counted(let notices): hear(notices)
        case .drain(let delay, let spread):
            beginDraining(delayMilliseconds: delay, spreadMilliseconds: spread)
        case .unlock(let secrets): self.secrets = secrets
        case .certificates(let context): loop.use(context)
        case .stop: loop.stop()
        }
    }

    private func answer(_ reply: CatalogueReply) {
        // A ticket that names nothing has been answered.
        guard case .catalogue(let then)? = waiting.remove(reply.ticket.number) else { return }
        then(reply.answer)
    }

    private func answer(_ ballot: SettledBallot) {
        guard let ticket = ballot.ticket, let waiter = waiting.remove(ticket.number) else { return }
        settleNote(ticket.number, ballot.outcome)
        switch waiter {
        case .ballot(let isAnnounced, let then):
            then(ballot.outcome)
            if isAnnounced { announce(ballot) }
        case .socketVote(let vote):
            settle(vote, ballot)
            if vote.board.poll.results == .afterVote { announce(ballot) }
        case .announcement:
            announce(ballot)
        case .nobody: break
        case .catalogue:
            preconditionFailure("a ballot was answered in place of a question")
        }
    }

    private func hear(_ event: PollEvent) {
        switch event {
        case .tallies(let tallies): for tally in tallies { take(tally, isOwn: true) }
        case .created(let id): hearCreation(of: id)
        case .changed(let record, _): adopt(record)
        case .deleted(let id, let revision): hearDeletion(of: id, revision: revision)
        }
    }
}

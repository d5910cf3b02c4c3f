import Polls
import Reactor

/// How boards come, hear what happens, and go.
extension Gateway {
    /// Finds the board, loading it where it is not here: whoever asks meanwhile shares the read.
    /// `then` runs on this loop, at once where the answer is known.
    func withBoard(_ id: PollID, then: @escaping (BoardLookup) -> Void) {
        switch boards[id] {
        case .live(let board):
            boards.touch(board)
            then(.board(board))
        case .loading(let loading):
            wait(for: loading, then)
        case nil:
            if boards.isUnknown(id, at: loop.nowNanoseconds) { return then(.notFound) }
            wait(for: boards.beginLoading(id), then)
            read([id])
        }
    }

    /// Finds several boards, with one read for all that are missing. `then` gets them in the order
    /// of `ids`, all as they are at that moment.
    func withBoards(_ ids: [PollID], then: @escaping ([BoardLookup]) -> Void) {
        if let live = liveBoards(ids) { return then(live.map { .board($0) }) }
        let gathering = Gathering(count: ids.count, then)
        var missing: [PollID] = []
        for (index, id) in ids.enumerated() {
            let arrive: (BoardLookup) -> Void = { [unowned self] in
                self.arrive($0, at: index, in: gathering)
            }
            switch boards[id] {
            case .live(let board):
                arrive(.board(board))
            case .loading(let loading):
                wait(for: loading, arrive)
            case nil where boards.isUnknown(id, at: loop.nowNanoseconds):
                arrive(.notFound)
            case nil:
                wait(for: boards.beginLoading(id), arrive)
                missing.append(id)
            }
        }
        if !missing.isEmpty { read(missing) }
    }

    /// Takes a record that an answer or an event brought, and tells those who watch.
    ///
    /// It makes no board: only one that was loaded is sure to have heard everything since.
    func adopt(_ record: PollRecord) {
        switch boards[record.poll.id] {
        case .live(let board): take(record, into: board)
        case .loading(let loading): loading.take(record)
        case nil: boards.forget(unknown: record.poll.id)
        }
    }

    // MARK: Hearing

    /// - Parameter isOwn: this process committed it, by the clock that its ballots came in by.
    func take(_ tally: Tally, isOwn: Bool) {
        switch boards[tally.pollID] {
        case .live(let board):
            guard board.take(tally) else { return }
            board.publishTally(ballotAt: isOwn ? tally.at : 0, with: &frames, on: loop)
        case .loading(let loading): loading.take(tally)
        case nil: break
        }
    }

    private func take(_ record: PollRecord, into board: Board) {
        switch board.take(record) {
        case .none: break
        case .tally: board.publishTally(with: &frames, on: loop)
        case .change(let change):
            board.publish(change, with: &frames, on: loop)
            if change.isAfterVote { awaitBallots(in: board) }
        }
    }

    func hearCreation(of id: PollID) {
        boards.forget(unknown: id)
        if case .loading(let loading)? = boards[id] { loading.create() }
    }

    func hearDeletion(of id: PollID, revision: Int64) {
        switch boards[id] {
        case .live(let board):
            board.isDeleted = true
            board.publishDeletion(revision: revision, with: &frames, on: loop)
            retiredTopics.add(board.watchers.retire(), at: loop.nowNanoseconds)
            shared.viewers.set(0, of: id, from: Int(loopIndex))
            boards.remove(id)
        case .loading(let loading):
            // The read may have looked before: its answer counts no more.
            return loading.delete()
        case nil: break
        }
        boards.remember(unknown: id, at: loop.nowNanoseconds)
    }

    // MARK: Loading

    private func wait(for loading: LoadingBoard, _ waiter: @escaping (BoardLookup) -> Void) {
        if !loading.join(limit: settings.boardWaiterCount, waiter) { waiter(.refused(.overloaded)) }
    }

    /// Asks for polls whose boards are loading already.
    private func read(_ ids: [PollID]) {
        ask(.read(ids)) { [unowned self] answer in
            switch answer {
            case .polls(let records) where records.count == ids.count:
                for (id, record) in zip(ids, records) { finishLoading(id, record) }
            case .refused(let refusal):
                for id in ids { failLoading(id, refusal) }
            default:
                preconditionFailure("the catalogue answered another question")
            }
        }
    }

    private func finishLoading(_ id: PollID, _ record: PollRecord?) {
        guard case .loading(let loading)? = boards[id] else { return }
        if let board = loading.board(read: record) {
            boards.insert(board)
            // Held until everybody who waited has used it.
            board.pinCount += 1
            for waiter in loading.waiters { waiter(board.isDeleted ? .notFound : .board(board)) }
            board.pinCount -= 1
            boards.settle(board)
        } else if loading.isCreated, !loading.isDeleted {
            // It came to be after the read looked. The next read sees it.
            loading.beginAgain()
            read([id])
        } else {
            boards.remember(unknown: id, at: loop.nowNanoseconds)
            for waiter in loading.waiters { waiter(.notFound) }
        }
    }

    private func failLoading(_ id: PollID, _ refusal: CatalogueRefusal) {
        guard case .loading(let loading)? = boards[id] else { return }
        boards.stopLoading(id)
        for waiter in loading.waiters { waiter(.refused(refusal)) }
    }

    // MARK: Several boards

    /// All of them, where none has to be loaded.
    func liveBoards(_ ids: [PollID]) -> [Board]? {
        var live: [Board] = []
        live.reserveCapacity(ids.count)
        for id in ids {
            guard let board = boards.board(id) else { return nil }
            live.append(board)
        }
        for board in live { boards.touch(board) }
        return live
    }

    private func arrive(_ lookup: BoardLookup, at index: Int, in gathering: Gathering) {
        if case .board(let board) = lookup {
            // It may have to outlast the loading of the others.
            board.pinCount += 1
            boards.settle(board)
        }
        guard let lookups = gathering.arrive(lookup, at: index) else { return }
        gathering.then(
            lookups.map {
                if case .board(let board) = $0, board.isDeleted { .notFound } else { $0 }
            })
        for case .board(let board) in lookups {
            board.pinCount -= 1
            boards.settle(board)
        }
    }
}

/// The boards that one question waits for.
private final class Gathering {
    let then: ([BoardLookup]) -> Void
    private var lookups: [BoardLookup?]
    private var missingCount: Int

    init(count: Int, _ then: @escaping ([BoardLookup]) -> Void) {
        self.then = then
        lookups = Array(repeating: nil, count: count)
        missingCount = count
    }

    /// - Returns: all of them, with the last.
    func arrive(_ lookup: BoardLookup, at index: Int) -> [BoardLookup]? {
        lookups[index] = lookup
        missingCount -= 1
        return missingCount == 0 ? lookups.compactMap { $0 } : nil
    }
}

/// Topics of deleted polls, kept until the last word has surely been said to everybody who reads.
struct RetiredTopics {
    /// Two ping periods: who takes no byte for so long is closed.
    static let nanoseconds: UInt64 = 50_000_000_000

    private var batches: [(deadline: UInt64, topics: [Topic])] = []

    mutating func add(_ topics: [Topic], at now: UInt64) {
        if !topics.isEmpty { batches.append((now + Self.nanoseconds, topics)) }
    }

    mutating func removeExpired(at now: UInt64) {
        let count = batches.prefix { $0.deadline <= now }.count
        if count > 0 { batches.removeFirst(count) }
    }
}

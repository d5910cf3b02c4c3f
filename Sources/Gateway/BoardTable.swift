import Polls

/// The boards of one loop, by poll: watched ones as many as there are, idle ones up to a bound.
/// Reads no clock but what it is given, and asks nobody.
struct BoardTable {
    enum Entry {
        case live(Board)
        case loading(LoadingBoard)
    }

    /// Boards with topics, in no order: walked a slice at a time.
    private(set) var watched: [Board] = []
    private(set) var idleCount = 0
    private var entries: [PollID: Entry] = [:]
    private var unknown: UnknownPolls
    private let idleLimit: Int
    /// Told of each board that gets its first watcher, and of each that loses its last.
    private let watchedChanged: (PollID, Bool) -> Void
    // Idle boards, as a list: the one to leave next, and the one asked for last.
    private var oldest: Board?
    private var newest: Board?

    init(
        settings: GatewaySettings,
        watchedChanged: @escaping (_ id: PollID, _ isWatched: Bool) -> Void = { _, _ in }
    ) {
        self.watchedChanged = watchedChanged
        idleLimit = settings.idleBoardCount
        unknown = UnknownPolls(
            limit: settings.unknownPollCount,
            nanoseconds: UInt64(settings.unknownPollMilliseconds) * 1_000_000)
    }

    var count: Int { entries.count }

    subscript(id: PollID) -> Entry? { entries[id] }

    func board(_ id: PollID) -> Board? {
        if case .live(let board)? = entries[id] { board } else { nil }
    }

    func isUnknown(_ id: PollID, at nowNanoseconds: UInt64) -> Bool {
        unknown.contains(id, at: nowNanoseconds)
    }

    // MARK: Life

    mutating func beginLoading(_ id: PollID) -> LoadingBoard {
        let loading = LoadingBoard()
        entries[id] = .loading(loading)
        return loading
    }

    /// It may be there; nobody could say.
    mutating func stopLoading(_ id: PollID) { entries[id] = nil }

    mutating func insert(_ board: Board) {
        entries[board.id] = .live(board)
    }

    mutating func remember(unknown id: PollID, at nowNanoseconds: UInt64) {
        entries[id] = nil
        unknown.insert(id, at: nowNanoseconds)
    }

    mutating func forget(unknown id: PollID) { unknown.remove(id) }

    mutating func remove(_ id: PollID) {
        if case .live(let board)? = entries.removeValue(forKey: id) {
            leaveIdle(board)
            leaveWatched(board)
        }
    }

    mutating func removeIdle() {
        while let oldest { remove(oldest.id) }
    }

    // MARK: Use

    /// It was asked for.
    mutating func touch(_ board: Board) {
        guard board.isIdle else { return }
        leaveIdle(board)
        enterIdle(board)
    }

    /// Puts the board into the list where it belongs, after watchers or pins changed, and lets the
    /// longest unused idle board go where there are too many.
    mutating func settle(_ board: Board) {
        guard !board.isDeleted else { return }
        board.watchers.isEmpty ? leaveWatched(board) : enterWatched(board)
        if board.watchers.isEmpty, board.pinCount == 0 {
            if !board.isIdle { enterIdle(board) }
            while idleCount > idleLimit, let oldest { remove(oldest.id) }
        } else {
            leaveIdle(board)
        }
    }

    private mutating func enterWatched(_ board: Board) {
        guard board.watchedIndex == nil else { return }
        board.watchedIndex = watched.count
        watched.append(board)
        watchedChanged(board.id, true)
    }

    private mutating func leaveWatched(_ board: Board) {
        guard let index = board.watchedIndex else { return }
        board.watchedIndex = nil
        let last = watched.removeLast()
        if last !== board {
            watched[index] = last
            last.watchedIndex = index
        }
        watchedChanged(board.id, false)
    }

    private mutating func enterIdle(_ board: Board) {
        board.isIdle = true
        board.older = newest
        newest?.newer = board
        newest = board
        if oldest == nil { oldest = board }
        idleCount += 1
    }

    private mutating func leaveIdle(_ board: Board) {
        guard board.isIdle else { return }
        board.isIdle = false
        if let newer = board.newer { newer.older = board.older } else { newest = board.older }
        if let older = board.older { older.newer = board.newer } else { oldest = board.newer }
        (board.older, board.newer) = (nil, nil)
        idleCount -= 1
    }
}

/// Ids that the catalogue did not know a moment ago, so that asking again costs nothing. Bounded:
/// the first to be remembered is the first to be forgotten.
struct UnknownPolls {
    private var expiry: [PollID: UInt64] = [:]
    private var order: [PollID] = []
    private var next = 0
    private let limit: Int
    private let nanoseconds: UInt64

    init(limit: Int, nanoseconds: UInt64) {
        self.limit = limit
        self.nanoseconds = nanoseconds
    }

    var count: Int { expiry.count }

    func contains(_ id: PollID, at now: UInt64) -> Bool {
        expiry[id].map { now < $0 } ?? false
    }

    mutating func insert(_ id: PollID, at now: UInt64) {
        guard limit > 0 else { return }
        defer { expiry[id] = now + nanoseconds }
        guard expiry[id] == nil else { return }
        if order.count < limit {
            order.append(id)
        } else {
            // An id that was removed and came back has two places; the earlier one may forget it
            // early, which costs one question more.
            expiry[order[next]] = nil
            order[next] = id
            next = (next + 1) % limit
        }
    }

    mutating func remove(_ id: PollID) { expiry[id] = nil }
}

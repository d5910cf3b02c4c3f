import Polls

/// A poll as this loop knows it: its newest record, and who watches it here.
///
/// A board that is in the table hears of everything that is committed, watched or not, so what it
/// holds can be shown at once. Confined to its loop.
final class Board {
    /// `poll.tally` is the newest that is known.
    private(set) var record: PollRecord
    var poll: Poll { record.poll }
    var id: PollID { record.poll.id }

    /// Set when the poll is deleted: who still holds the board shows it no more.
    var isDeleted = false
    /// Requests that will come back to it: it stays in the table meanwhile.
    var pinCount = 0
    var watchers = Watchers()

    // Places in the lists of `BoardTable`, which alone writes them.
    var watchedIndex: Int?
    var isIdle = false
    unowned(unsafe) var older: Board?
    unowned(unsafe) var newer: Board?

    /// A tally for options that this board has yet to hear of.
    private var early: Tally?

    init(_ record: PollRecord) { self.record = record }

    /// What a record changed, beside the tally.
    struct Change: Equatable {
        /// Words, options or rules.
        var isEdited = false
        /// Counts became hidden until one has voted.
        var isAfterVote = false
        var isOpened = false
        var isClosed = false
        /// Ballots that were not known came with it.
        var bringsBallots = false
    }

    enum News: Equatable { case none, tally, change(Change) }

    /// Takes a tally where it is newer; a closed poll never changes.
    /// - Returns: whether it was.
    func take(_ tally: Tally) -> Bool {
        guard tally.isNewer(than: record.poll.tally), record.poll.state != .closed else {
            return false
        }
        // Committed after an edit that is announced by another thread: it fits the new options.
        guard tally.counts.count == record.poll.options.count else {
            if early.map(tally.isNewer) ?? true { early = tally }
            return false
        }
        record.poll.tally = tally
        return true
    }

    /// Merges a record in whatever order it comes: the newer words and the newer tally win.
    func take(_ new: PollRecord) -> News {
        let old = record.poll
        guard new.poll.shownRevision > old.shownRevision else {
            return take(new.poll.tally) ? .tally : .none
        }
        record = new
        _ = take(old.tally)
        if let tally = early.take() { _ = take(tally) }
        var change = Change(from: old, to: new.poll)
        if change != Change() {
            change.bringsBallots = record.poll.tally.counts != old.tally.counts
            return .change(change)
        }
        return record.poll.tally.isNewer(than: old.tally) ? .tally : .none
    }
}

extension Board.Change {
    init(from old: Poll, to new: Poll) {
        isOpened = old.state == .scheduled && new.state == .open
        isClosed = old.state != .closed && new.state == .closed
        var before = old
        before.tally = new.tally
        before.shownRevision = new.shownRevision
        before.isOpened = new.isOpened
        before.closedAt = new.closedAt
        // Opening or closing by hand may move the time that was announced for it.
        if isOpened || isClosed { before.startsAt = new.startsAt }
        if isClosed { before.endTime = new.endTime }
        isEdited = before != new
        isAfterVote = old.results != .afterVote && new.results == .afterVote
    }
}

/// What asking for a board gives.
enum BoardLookup {
    case board(Board)
    case notFound
    case refused(CatalogueRefusal)
}

/// A board on its way: it exists before the read is asked for, so that nothing that is announced
/// meanwhile is lost.
final class LoadingBoard {
    private(set) var waiters: [(BoardLookup) -> Void] = []
    private var record: PollRecord?
    private var tally: Tally?
    private(set) var isDeleted = false
    /// It was created after the read may have looked.
    private(set) var isCreated = false

    /// - Returns: false where `limit` wait already.
    func join(limit: Int, _ waiter: @escaping (BoardLookup) -> Void) -> Bool {
        guard waiters.count < limit else { return false }
        waiters.append(waiter)
        return true
    }

    func take(_ tally: Tally) {
        if self.tally.map(tally.isNewer) ?? true { self.tally = tally }
    }

    func take(_ record: PollRecord) {
        take(record.poll.tally)
        if record.poll.shownRevision > self.record?.poll.shownRevision ?? Int64.min {
            self.record = record
        }
    }

    func delete() { isDeleted = true }

    func create() { isCreated = true }

    /// Another read is asked for.
    func beginAgain() { isCreated = false }

    /// What the read brought, and all that was heard meanwhile; nil where there is no such poll.
    func board(read: PollRecord?) -> Board? {
        guard !isDeleted, let first = read ?? record else { return nil }
        let board = Board(first)
        if let record { _ = board.take(record) }
        if let tally { _ = board.take(tally) }
        return board
    }
}

import Polls
import Testing

@testable import Gateway

@Suite struct BoardTests {

    private func history() -> [PollRecord] {
        var record = makeRecord(1)
        var all: [PollRecord] = []
        for revision in Int64(6)...10 {
            record.poll.tally.revision = revision
            if revision == 8 {
                record.poll.title = "edited"
                record.poll.shownRevision = 8
            } else if revision == 10 {
                record.poll.closedAt = 1
                record.poll.shownRevision = 10
            } else {
                record.poll.tally.ballots += 1
                record.poll.tally.counts[0] += 1
            }
            all.append(record)
        }
        return all
    }

    @Test func `whatever the order, the newest words and the newest tally win`() {
        let history = history()
        for order in permutations(of: Array(history.indices)) {
            let board = Board(makeRecord(1))
            var revision = board.poll.tally.revision
            for index in order {
                let record = history[index]
                if index == 2 || index == 4 {
                    _ = board.take(record)
                } else {
                    _ = board.take(record.poll.tally)
                }
                #expect(board.poll.tally.revision >= revision)
                revision = board.poll.tally.revision
            }
            #expect(board.record == history[4])
        }
    }

    @Test func `what is heard while a board loads is in it, whatever the read saw`() {
        let history = [makeRecord(1)] + history()
        for read in history.indices {
            for order in permutations(of: Array(1..<history.count)) {
                let loading = LoadingBoard()
                for index in order {
                    if index == 3 || index == 5 {
                        loading.take(history[index])
                    } else {
                        loading.take(history[index].poll.tally)
                    }
                }
                #expect(loading.board(read: history[read])?.record == history[5])
            }
        }
    }

    @Test func `a tally for options not yet heard of waits for them`() {
        let board = Board(makeRecord(1, options: 2))
        let early = Tally(pollID: board.id, revision: 9, ballots: 1, counts: [0, 0, 1], at: 0)
        #expect(!board.take(early))
        var edited = makeRecord(1, options: 3, revision: 8)
        edited.poll.shownRevision = 8
        #expect(board.take(edited) == .change(Board.Change(isEdited: true, bringsBallots: true)))
        #expect(board.poll.tally == early)
    }

    @Test func `a closed poll never changes`() {
        var closed = makeRecord(1, revision: 10)
        closed.poll.closedAt = 1
        closed.poll.shownRevision = 10
        let board = Board(closed)
        #expect(
            !board.take(Tally(pollID: board.id, revision: 11, ballots: 9, counts: [9, 0], at: 0)))
        #expect(board.record == closed)
    }

    @Test func `a deleted poll does not come back from a read that looked before`() {
        let loading = LoadingBoard()
        loading.delete()
        #expect(loading.board(read: makeRecord(1)) == nil)
    }

    @Test func `who sees what follows from what it proved and from the poll`() {
        let cases: [(ResultsVisibility, Bool, [PollView])] = [
            (.live, false, [.everything, .everything, .everything]),
            (.afterVote, false, [.hidden, .everything, .everything]),
            (.afterClose, false, [.hidden, .hidden, .everything]),
            (.live, true, [.everything, .everything, .everything]),
            (.afterVote, true, [.everything, .everything, .everything]),
            (.afterClose, true, [.everything, .everything, .everything]),
        ]
        for (results, isClosed, views) in cases {
            var poll = makeRecord(1, results: results).poll
            if isClosed { poll.closedAt = 1 }
            #expect(Audience.allCases.map(poll.view) == views)
        }
    }
}

private func permutations(of items: [Int]) -> [[Int]] {
    if items.isEmpty { return [[]] }
    return items.indices.flatMap { index in
        var rest = items
        let first = rest.remove(at: index)
        return permutations(of: rest).map { [first] + $0 }
    }
}

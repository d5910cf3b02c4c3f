import Polls
import Testing
import Threads

@testable import Relay

struct RelayOutboxTests {
    private func tally(_ poll: Int64, _ revision: Int64) -> Tally {
        Tally(pollID: PollID(poll)!, revision: revision, ballots: 1, counts: [1, 0], at: 0)
    }

    private var now: Int64 { Clock.monotonicNanoseconds() }

    @Test func `of each poll the newest waits, in whatever order it came`() throws {
        let outbox = RelayOutbox(pollLimit: 10)
        #expect(outbox.add([tally(1, 5), tally(2, 1), tally(1, 7), tally(1, 6)]) == 0)
        let taken = try #require(outbox.take(until: now))
        #expect(taken.count == 2)
        #expect(taken.first { $0.poll == PollID(1)! }?.unsent.tally == tally(1, 7))
        #expect(outbox.take(until: now)?.isEmpty == true)
    }

    @Test func `what comes back gives way to what is newer`() throws {
        let outbox = RelayOutbox(pollLimit: 10)
        _ = outbox.add([tally(1, 5), tally(2, 1)])
        _ = outbox.add(changed: PollID(1)!)
        let failed = try #require(outbox.take(until: now))
        _ = outbox.add([tally(1, 6)])
        #expect(outbox.putBack(failed) == 0)
        let taken = try #require(outbox.take(until: now))
        let first = taken.first { $0.poll == PollID(1)! }?.unsent
        #expect(first == RelayOutbox.Unsent(tally: tally(1, 6), isChanged: true))
        #expect(taken.contains { $0.unsent.tally == tally(2, 1) })
    }

    @Test func `polls that find no room are counted, and those that have some are kept`() throws {
        let outbox = RelayOutbox(pollLimit: 2)
        #expect(outbox.add([tally(1, 1), tally(2, 1), tally(3, 1)]) == 1)
        #expect(outbox.add(changed: PollID(4)!) == 1)
        #expect(outbox.add([tally(1, 2)]) == 0)
        #expect(outbox.pollCount == 2)
        let taken = try #require(outbox.take(until: now))
        #expect(taken.contains { $0.unsent.tally == tally(1, 2) })
    }

    @Test func `voters that find no room are counted, in one poll and in all of them`() throws {
        func voter(_ number: Int) -> VoterKey { VoterKey(high: 0, low: UInt64(number)) }
        let one = RelayOutbox(pollLimit: 10)
        for number in 0..<4_096 { #expect(one.add(voter: voter(number), of: PollID(1)!) == 0) }
        #expect(one.add(voter: voter(4_096), of: PollID(1)!) == 1)
        #expect(one.add(voter: voter(0), of: PollID(2)!) == 0)

        let all = RelayOutbox(pollLimit: 10, voterLimit: 3)
        for poll in 1...3 { #expect(all.add(voter: voter(poll), of: PollID(Int64(poll))!) == 0) }
        #expect(all.add(voter: voter(4), of: PollID(4)!) == 1)
        let failed = try #require(all.take(until: now))
        #expect(failed.reduce(0) { $0 + $1.unsent.voters.count } == 3)
        // There is room again, and what comes back takes what newer ones have left.
        #expect(all.add(voter: voter(5), of: PollID(1)!) == 0)
        #expect(all.putBack(failed) == 1)
        #expect(all.add(voter: voter(6), of: PollID(1)!) == 1)
    }

    @Test func `closed, it gives what it has and ends`() {
        let outbox = RelayOutbox(pollLimit: 2)
        _ = outbox.add([tally(1, 1)])
        outbox.close()
        #expect(outbox.take(until: .max)?.count == 1)
        #expect(outbox.take(until: .max) == nil)
        #expect(outbox.waitForClose(until: .max))
    }
}

struct ViewerNewsTests {
    private func counts(_ values: (Int64, Int)...) -> [(poll: PollID, count: Int)] {
        values.map { (PollID($0.0)!, $0.1) }
    }

    @Test func `a count is told when it changes, before it lapses, and when it ends`() {
        var news = ViewerNews()
        func tell(_ values: (Int64, Int)...) -> [Int64: Int] {
            let counts = values.map { (poll: PollID($0.0)!, count: $0.1) }
            return Dictionary(
                uniqueKeysWithValues: news.news(of: counts).map { ($0.poll.rawValue, $0.count) })
        }
        #expect(tell((1, 5), (2, 1)) == [1: 5, 2: 1])
        #expect(tell((1, 5), (2, 2)) == [2: 2])
        #expect(tell((1, 5), (2, 2)) == [1: 5, 2: 2])
        #expect(tell((1, 5)) == [2: 0])
        #expect(tell((1, 5)) == [:])
    }
}

struct WatchlistTests {
    private let first = PollID(1)!
    private let second = PollID(2)!

    @Test func `two loops watch one poll on one channel`() {
        let list = Watchlist()
        list.watch(first)
        list.watch(first)
        #expect(list.takeChanges().watched == [first])
        list.leave(first)
        #expect(list.takeChanges().left.isEmpty)
        list.leave(first)
        #expect(list.takeChanges().left == [first])
        #expect(list.pollCount == 0)
    }

    @Test func `who comes and goes meanwhile is not told`() {
        let list = Watchlist()
        list.watch(first)
        list.leave(first)
        let changes = list.takeChanges()
        #expect(changes.watched.isEmpty && changes.left.isEmpty)
    }

    @Test func `a new connection begins with all that is watched`() {
        let list = Watchlist()
        list.watch(first)
        _ = list.takeChanges()
        list.watch(second)
        #expect(Set(list.takeAll()) == [first, second])
        list.leave(first)
        #expect(list.takeChanges().left == [first])
    }
}

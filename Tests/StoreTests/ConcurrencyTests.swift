import Glibc
import Polls
import Testing

@testable import Store

struct ConcurrencyTests {
    @Test func `closes and changes beside settling never change a final tally`() async throws {
        let test = try TestStore()
        let store = test.sqlite
        let polls = try (0..<6).map { _ in try test.createPoll { $0.allowsChange = true } }
        let batches = (0..<60).map { number in
            (0..<50).map { index in
                test.ballot((number * 7 + index) % 400, in: polls[index % 6], for: number % 2)
            }
        }
        async let settled = onThread {
            var answered: [PollID: Int64] = [:]
            for batch in batches {
                for (ballot, outcome) in zip(batch, try store.settle(batch).outcomes) {
                    if case .counted = outcome { answered[ballot.pollID, default: 0] += 1 }
                }
            }
            return answered
        }
        async let finals = onThread {
            var finals: [Tally] = []
            for (number, poll) in polls.enumerated() {
                let change = try PollChange(
                    title: "Changed", description: nil, results: nil, endTime: nil, options: nil,
                    now: 0)
                for _ in 0..<5 {
                    _ = try store.change(poll.id, change)
                    _ = try store.audit(polls[(number + 1) % 6].id)
                }
                finals.append(try store.close(poll.id).0.poll.tally)
            }
            return finals
        }
        async let reads = onThread {
            var revisions: [PollID: Int64] = [:]
            for _ in 0..<300 {
                for case let record? in try store.read(polls.map(\.id)) {
                    let tally = record.poll.tally
                    guard tally.revision >= revisions[tally.pollID, default: 0],
                        tally.counts.reduce(0, +) == tally.ballots
                    else { return false }
                    revisions[tally.pollID] = tally.revision
                    guard try store.audit(tally.pollID).isConsistent else { return false }
                }
            }
            return true
        }
        let (answered, tallies) = try await (settled, finals)
        #expect(try await reads, "every snapshot is whole, and revisions never fall")
        for tally in tallies {
            let stored = try #require(try test.poll(tally.pollID)).tally
            #expect(stored.counts == tally.counts && stored.revision == tally.revision)
            #expect(answered[tally.pollID, default: 0] == tally.ballots)
            try test.expectConsistent(tally.pollID)
        }
    }

    @Test func `a close waits for one batch, not for all`() async throws {
        let test = try TestStore()
        let store = test.sqlite
        let poll = try test.createPoll()
        let other = try test.createPoll()
        let isClosed = Flag()
        let batches = (0..<3000).map { number in
            [test.ballot(number, in: poll, for: 0)]
        }
        async let settledBeforeClose = onThread {
            for (number, batch) in batches.enumerated() {
                _ = try store.settle(batch)
                if isClosed.value { return number }
            }
            return batches.count
        }
        async let closed = onThread {
            let record = try store.close(other.id)
            isClosed.value = true
            return record.changed
        }
        #expect(try await closed)
        #expect(try await settledBeforeClose < batches.count)
    }

    @Test func `the log stays bounded under constant readers`() async throws {
        var settings = SQLiteSettings()
        settings.checkpointFrames = 50
        settings.restartFrames = 200
        let test = try TestStore(.sqlite, settings)
        let (store, path) = (test.sqlite, test.path)
        let poll = try test.createPoll()
        let batches = (0..<200).map { number in
            (0..<40).map { test.ballot(number * 40 + $0, in: poll, for: 0) }
        }
        let isDone = Flag()
        @Sendable func readOn() async throws {
            try await onThread {
                while !isDone.value { _ = try store.audit(poll.id) }
            }
        }
        async let first: Void = readOn()
        async let second: Void = readOn()
        let largest = try await onThread {
            defer { isDone.value = true }
            var largest = 0
            for batch in batches {
                _ = try store.settle(batch)
                var status = stat()
                stat(path + "-wal", &status)
                largest = max(largest, Int(status.st_size))
            }
            return largest
        }
        _ = try await (first, second)
        // The bound, one commit past it, and one more round where a restart ran into its timeout.
        #expect(largest < (200 + 50 + 100) * 4120, "\(largest / 4120) frames")
        try test.expectConsistent(poll.id)
    }

    @Test func `a reader that stays costs little, and the log shrinks when it goes`() throws {
        var settings = SQLiteSettings()
        settings.checkpointFrames = 20
        settings.restartFrames = 40
        let test = try TestStore(.sqlite, settings)
        let poll = try test.createPoll()
        try withDatabase(test.path) { other in
            try other.execute("BEGIN; SELECT * FROM polls")
            for number in 0..<60 {
                _ = try test.sqlite.settle(
                    (0..<20).map { test.ballot(number * 20 + $0, in: poll, for: 0) })
            }
            #expect(try other.integer("SELECT ballots FROM tallies") == 0, "its own snapshot")
            try other.execute("COMMIT")
        }
        for voter in 5000..<5040 {
            _ = try test.sqlite.settle([test.ballot(voter, in: poll, for: 0)])
        }
        var status = stat()
        stat(test.path + "-wal", &status)
        #expect(Int(status.st_size) <= 60 * 4120, "\(status.st_size)")
        try test.expectConsistent(poll.id)
    }
}

/// Runs blocking work on a thread of its own, as the ledger and the catalogue do: the pool that
/// runs tasks has too few threads to lend.
func onThread<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
    try await withCheckedThrowingContinuation { continuation in
        let work = Unmanaged.passRetained(
            Work { continuation.resume(with: Result(catching: body)) })
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { context in
                Unmanaged<Work>.fromOpaque(context!).takeRetainedValue().body()
                return nil
            }, work.toOpaque())
        precondition(result == 0)
        pthread_detach(thread)
    }
}

private final class Work {
    let body: () -> Void

    init(_ body: @escaping () -> Void) { self.body = body }
}

/// Said by one thread, heard by another.
final class Flag: @unchecked Sendable {
    private let clock = TestClock(0)

    var value: Bool {
        get { clock.now == 1 }
        set { clock.now = newValue ? 1 : 0 }
    }
}

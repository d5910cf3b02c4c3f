import Polls
import Testing

@testable import Store

struct RetentionTests {
    @Test(arguments: Backend.allCases, [1, 7, 100])
    func `names go first, then ballots, slice by slice, and the tally stays`(
        on backend: Backend, limit: Int
    ) throws {
        let test = try TestStore(backend)
        let kept = try test.createPoll()
        let poll = try test.createPoll()
        _ = try test.store.settle(
            (0..<20).map { test.ballot($0, in: poll, for: $0 % 2) } + [
                test.ballot(1, in: kept, for: 0)
            ])
        let final = try test.store.close(poll.id).0.poll.tally
        func retain(_ step: RetentionStep) throws -> Int {
            try test.store.retain(step, closedForMilliseconds: 1_000, limit: limit)
        }
        for step in RetentionStep.allCases { #expect(try retain(step) == 0, "not yet") }
        test.clock.now += 1_000
        #expect(try retain(.removeBallots) == 0, "names first")
        var names = 20
        while try retain(.blankVoters) > 0 {
            let page = try test.store.ballots(of: poll.id, after: nil, limit: 99)
            let left = page.filter { !$0.voter.isEmpty }.count
            #expect(page.count == 20 && left >= names - limit)
            names = left
            #expect(try test.store.audit(poll.id).emptiedAt == nil)
            try test.expectConsistent(poll.id)
        }
        #expect(names == 0)
        var ballots = 20
        while try retain(.removeBallots) > 0 {
            let left = try test.store.ballots(of: poll.id, after: nil, limit: 99).count
            #expect(left >= ballots - limit)
            ballots = left
            let audit = try test.store.audit(poll.id)
            #expect(audit.isConsistent && audit.emptiedAt == test.clock.now)
            #expect(audit.tally.counts == final.counts && audit.ballots == Int64(left))
        }
        #expect(ballots == 0)
        #expect(try test.poll(poll.id)?.tally.counts == final.counts)
        #expect(
            try test.store.ballots(of: kept.id, after: nil, limit: 9).map(\.voter) == ["voter 1"])
        #expect(
            try test.store.settle([test.ballot(3, in: poll, for: 0)]).outcomes
                == [.rejected(.pollClosed)])
    }

    @Test(arguments: Backend.allCases)
    func `a poll without ballots, and one that is deleted, hold nothing up`(on backend: Backend)
        throws
    {
        let test = try TestStore(backend)
        for _ in 0..<3 { _ = try test.store.close(test.createPoll().id) }
        let deleted = try test.createPoll()
        _ = try test.store.settle([test.ballot(1, in: deleted, for: 0)])
        _ = try test.store.delete(deleted.id)
        for step in RetentionStep.allCases {
            var calls = 0
            while try test.store.retain(step, closedForMilliseconds: 0, limit: 5) > 0 { calls += 1 }
            #expect(calls == 3)
        }
    }

    @Test(arguments: Backend.allCases)
    func `an age out of all reason overflows nothing`(on backend: Backend) throws {
        let test = try TestStore(backend)
        _ = try test.store.close(test.createPoll().id)
        let age = Int64.max / 2
        #expect(try test.store.retain(.blankVoters, closedForMilliseconds: age, limit: 5) == 0)
    }
}

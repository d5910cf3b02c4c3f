import Polls
import Testing

@testable import Store

struct ExportTests {
    @Test(arguments: Backend.allCases, [1, 7, 100, 1000])
    func `pages bring every ballot of one poll once, by key`(on backend: Backend, limit: Int) throws
    {
        let test = try TestStore(backend)
        let store = test.store
        let others = [try test.createPoll(), try test.createPoll(), try test.createPoll()]
        let poll = others[1]
        // With the lowest and the highest key that a voter can have.
        var batch = (0..<100).map { test.ballot($0, in: poll, for: $0 % 2, castAt: Int64($0)) }
        batch[99].key = poll.id.highestKey
        batch += others.filter { $0.id != poll.id }.map { test.ballot(0, in: $0, for: 0) }
        _ = try store.settle(batch)
        var exported: [StoredBallot] = []
        while true {
            let page = try store.ballots(of: poll.id, after: exported.last?.key, limit: limit)
            #expect(page.count <= limit)
            if page.isEmpty { break }
            exported += page
        }
        let expected = batch.filter { $0.pollID == poll.id }.map {
            StoredBallot(key: $0.key, choices: $0.choices, voter: $0.voter, castAt: $0.castAt)
        }
        #expect(exported == expected)
    }

    @Test(arguments: Backend.allCases)
    func `an audit finds a ballot or a count that was tampered with`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        let poll = try test.createPoll()
        let other = try test.createPoll()
        _ = try store.settle(
            (0..<10).map { test.ballot($0, in: poll, for: $0 % 2) }
                + [test.ballot(1, in: other, for: 0)])
        let audit = try store.audit(poll.id)
        #expect(audit.isConsistent && audit.ballots == 10 && audit.counts == [5, 5])
        for tampering in [
            "DELETE FROM ballots WHERE choices = 1 AND voter = 'voter 0'",
            "UPDATE ballots SET choices = 2 WHERE voter = 'voter 2'",
            "UPDATE ballots SET choices = 4 WHERE voter = 'voter 4'",
            "UPDATE tallies SET counts = '\(backend == .sqlite ? "[5,6]" : "{5,6}")', ballots = 11 WHERE poll_id = \(poll.id.rawValue)",
        ] {
            try test.execute(tampering)
            #expect(try !store.audit(poll.id).isConsistent, "\(tampering)")
        }
        #expect(try store.audit(other.id).isConsistent)
    }

    @Test(arguments: Backend.allCases)
    func `an audit of a poll without ballots is consistent`(on backend: Backend) throws {
        let test = try TestStore(backend)
        let store = test.store
        #expect(try store.audit(test.createPoll().id).isConsistent)
    }
}

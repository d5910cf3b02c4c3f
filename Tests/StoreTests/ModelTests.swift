import Polls
import TestRandom
import Testing

@testable import Store

/// A store against the simplest thing that could be right.
struct ModelTests {
    private struct ModelPoll {
        var poll: Poll
        var ballots: [Int: Choices] = [:]
        var revision: Int64

        var counts: [Int64] {
            var counts = [Int64](repeating: 0, count: poll.options.count)
            for choices in ballots.values { choices.add(1, to: &counts) }
            return counts
        }
    }

    @Test(arguments: Backend.allCases, 1...6)
    func `random ballots, changes and closes agree with the model`(
        on backend: Backend, seed: UInt64
    ) throws {
        let test = try TestStore(backend)
        var generator = SeededGenerator(seed: seed &* 0x9E37_79B9)
        var models: [PollID: ModelPoll] = [:]
        for number in 0..<6 {
            let poll = try test.createPoll {
                $0.allowsChange = number % 2 == 0
                $0.endTime = number == 5 ? test.clock.now + 300 : nil
                $0.options = ["a", "b", "c"]
            }
            models[poll.id] = ModelPoll(poll: poll, revision: poll.tally.revision)
        }
        let ids = models.keys.sorted()
        for _ in 0..<150 {
            test.clock.now += Int64.random(in: -3...10, using: &generator)
            let id = ids.randomElement(using: &generator)!
            switch Int.random(in: 0..<40, using: &generator) {
            case 0:
                let record = try test.store.close(id).0
                models[id]?.poll = record.poll
                expectGrowth(record.poll.tally, &models[id]!.revision, mayStay: true)
            case 1:
                let options = ["x", "y", "z", "w"]
                let change = try PollChange(
                    title: nil, description: nil, results: nil, endTime: nil, options: options,
                    now: test.clock.now)
                let model = models[id]!
                let isOver = isOver(model.poll, test.clock.now)
                do throws(StoreError) {
                    let record = try test.store.change(id, change)
                    #expect(!isOver && (model.ballots.isEmpty || model.poll.options.count == 4))
                    models[id]?.poll = record.poll
                    expectGrowth(record.poll.tally, &models[id]!.revision)
                } catch {
                    #expect(isOver ? error == .pollClosed : error == .hasBallots)
                    #expect(isOver || !model.ballots.isEmpty)
                }
            case 2: try test.reopen()
            default: try settle(test, ids, &models, &generator)
            }
        }
        for (id, model) in models {
            let tally = try #require(try test.poll(id)).tally
            #expect(tally.counts == model.counts && tally.ballots == Int64(model.ballots.count))
            #expect(tally.revision == model.revision)
            try test.expectConsistent(id)
        }
    }

    private func settle(
        _ test: TestStore, _ ids: [PollID], _ models: inout [PollID: ModelPoll],
        _ generator: inout SeededGenerator
    ) throws {
        var batch: [Ballot] = []
        var voters: [Int] = []
        for _ in 0..<Int.random(in: 1...60, using: &generator) {
            let poll = models[ids.randomElement(using: &generator)!]!.poll
            let voter = Int.random(in: 0..<40, using: &generator)
            batch.append(
                test.ballot(voter, in: poll, for: Int.random(in: 0..<3, using: &generator)))
            voters.append(voter)
        }
        let before = models
        let settlement = try test.store.settle(batch)
        var changed: Set<PollID> = []
        for ((ballot, voter), outcome) in zip(zip(batch, voters), settlement.outcomes) {
            let id = ballot.pollID
            let stored = models[id]!.ballots[voter]
            if isOver(models[id]!.poll, test.clock.now) {
                #expect(outcome == .rejected(.pollClosed))
            } else if stored == nil || (stored != ballot.choices && ballot.allowsChange) {
                models[id]!.ballots[voter] = ballot.choices
                changed.insert(id)
                if case (nil, .counted) = (stored, outcome) { continue }
                if case (.some, .changed) = (stored, outcome) { continue }
                Issue.record("\(outcome)")
            } else if stored == ballot.choices {
                if case .repeated = outcome { continue }
                Issue.record("\(outcome)")
            } else {
                #expect(outcome == .alreadyVoted)
            }
        }
        // A voter who ends where the batch found them may leave the tally alone.
        let shown = Set(settlement.tallies.map(\.pollID))
        let moved = changed.filter { models[$0]!.ballots != before[$0]!.ballots }
        #expect(shown.isSuperset(of: moved) && shown.isSubset(of: changed))
        #expect(settlement.tallies.count == shown.count)
        for tally in settlement.tallies {
            #expect(tally.counts == models[tally.pollID]!.counts)
            #expect(tally.ballots == Int64(models[tally.pollID]!.ballots.count))
            expectGrowth(tally, &models[tally.pollID]!.revision)
        }
    }

    private func isOver(_ poll: Poll, _ now: Int64) -> Bool {
        poll.closedAt != nil || poll.endTime.map { now >= $0 } == true
    }

    private func expectGrowth(_ tally: Tally, _ revision: inout Int64, mayStay: Bool = false) {
        #expect(tally.revision > revision || (mayStay && tally.revision == revision))
        revision = tally.revision
    }
}

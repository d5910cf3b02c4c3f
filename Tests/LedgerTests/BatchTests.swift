import Polls
import TestRandom
import Testing
import Threads

@testable import Ledger

@Suite struct BatchTests {
    // MARK: Empty

    @Test func `an empty batch commits what it is given at once, in order`() {
        var batch = empty()
        #expect(batch.append(waiting(1...3)) == .commit(waiting(1...3)))
        #expect(batch.phase == .attempting)
        #expect(batch.earliestDeadline == 1)
    }

    @Test func `nothing expires in an empty batch`() {
        var batch = empty()
        #expect(batch.expire(at: .max) == .idle)
        #expect(batch.earliestDeadline == nil)
        #expect(batch.giveUp() == nil)
    }

    // MARK: Attempting

    @Test func `a commit answers all and empties the batch`() {
        var batch = attempting(1...2)
        let outcomes: [BallotOutcome] = [.counted(revision: 4), .alreadyVoted]
        #expect(
            batch.committed(outcomes)
                == .answer([answer(1, .counted(revision: 4)), answer(2, .alreadyVoted)]))
        #expect(batch.phase == .empty)
        #expect(batch.count == 0)
    }

    @Test func `a failure keeps all and waits`() {
        for failure in [Batch.Failure.unavailable, .commitUnknown] {
            var batch = attempting(1...2)
            #expect(batch.failed(failure, random: 1) == .retryAfter(nanoseconds: 100))
            #expect(batch.phase == .pausing)
            #expect(batch.count == 2)
        }
    }

    @Test func `who expires in an attempt is told unknown, and stays`() {
        var batch = attempting(1...3)
        #expect(batch.expire(at: 0) == .idle)
        #expect(
            batch.expire(at: 2)
                == .answer([answer(1, .commitUnknown), answer(2, .commitUnknown)]))
        #expect(batch.expire(at: 2) == .idle)
        #expect(batch.count == 3)
        #expect(batch.earliestDeadline == 3)
        #expect(batch.giveUp() == nil)
    }

    @Test func `a commit answers only who has no answer`() {
        var batch = attempting(1...3)
        _ = batch.expire(at: 2)
        #expect(batch.committed(counted(1...3)) == .answer([answer(3, .counted(revision: 3))]))
        batch = attempting(1...3)
        _ = batch.expire(at: 3)
        #expect(batch.committed(counted(1...3)) == .idle)
        #expect(batch.phase == .empty)
    }

    // MARK: Pausing

    @Test func `after a certain failure who expires leaves as unavailable`() {
        var batch = pausing(1...3, after: .unavailable)
        #expect(
            batch.expire(at: 2)
                == .answer([answer(1, .storageUnavailable), answer(2, .storageUnavailable)]))
        #expect(batch.retry() == .commit(waiting(3...3)))
    }

    @Test func `after an uncertain failure who expires is told unknown, and is tried again`() {
        var batch = pausing(1...2, after: .commitUnknown)
        #expect(batch.expire(at: 1) == .answer([answer(1, .commitUnknown)]))
        #expect(batch.retry() == .commit(waiting(1...2)))
        #expect(batch.committed(counted(1...2)) == .answer([answer(2, .counted(revision: 2))]))
    }

    @Test func `an attempt that fails for certain does not make an earlier one certain`() {
        var batch = pausing(1...1, after: .commitUnknown)
        _ = batch.retry()
        _ = batch.failed(.unavailable, random: 1)
        #expect(batch.expire(at: 1) == .answer([answer(1, .commitUnknown)]))
    }

    @Test func `who was told unknown in an attempt stays, and those behind leave`() {
        var batch = attempting(1...3)
        _ = batch.expire(at: 1)
        _ = batch.failed(.unavailable, random: 1)
        #expect(batch.expire(at: 2) == .answer([answer(2, .storageUnavailable)]))
        #expect(batch.retry() == .commit(waiting([1, 3])))
        #expect(batch.committed(counted([1, 3])) == .answer([answer(3, .counted(revision: 3))]))
    }

    @Test func `a retry with nothing left is over`() {
        var batch = pausing(1...2, after: .unavailable)
        _ = batch.expire(at: 2)
        #expect(batch.earliestDeadline == nil)
        #expect(batch.retry() == .idle)
        #expect(batch.phase == .empty)
        #expect(batch.append(waiting(3...3)) == .commit(waiting(3...3)))
    }

    @Test func `a batch is given up only when nobody waits for an answer`() {
        var batch = pausing(1...2, after: .commitUnknown)
        #expect(batch.giveUp() == nil)
        _ = batch.expire(at: 1)
        #expect(batch.giveUp() == nil)
        _ = batch.expire(at: 2)
        #expect(batch.giveUp() == 2)
        #expect(batch.phase == .empty)
    }

    @Test func `uncertainty ends with its batch`() {
        var batch = pausing(1...1, after: .commitUnknown)
        _ = batch.retry()
        _ = batch.committed(counted(1...1))
        _ = batch.append(waiting(2...2))
        _ = batch.failed(.unavailable, random: 1)
        #expect(batch.expire(at: 2) == .answer([answer(2, .storageUnavailable)]))
    }

    @Test func `delays grow until a commit`() {
        var batch = attempting(1...1)
        for nanoseconds: Int64 in [100, 200, 400, 400] {
            #expect(
                batch.failed(.unavailable, random: 1) == .retryAfter(nanoseconds: nanoseconds))
            _ = batch.retry()
        }
        _ = batch.committed(counted(1...1))
        _ = batch.append(waiting(2...2))
        #expect(batch.failed(.unavailable, random: 1) == .retryAfter(nanoseconds: 100))
    }

    // MARK: Out of turn

    @Test func `an event that cannot come in a phase is a bug, and ends the process`() async {
        await #expect(processExitsWith: .failure) {
            var batch = attempting(1...1)
            _ = batch.append(waiting(2...2))
        }
        await #expect(processExitsWith: .failure) {
            var batch = pausing(1...1, after: .unavailable)
            _ = batch.append(waiting(2...2))
        }
        await #expect(processExitsWith: .failure) {
            var batch = empty()
            _ = batch.append(WaitingBallots())
        }
        await #expect(processExitsWith: .failure) {
            var batch = empty()
            _ = batch.committed([])
        }
        await #expect(processExitsWith: .failure) {
            var batch = pausing(1...1, after: .unavailable)
            _ = batch.committed(counted(1...1))
        }
        await #expect(processExitsWith: .failure) {
            var batch = attempting(1...2)
            _ = batch.committed(counted(1...1))
        }
        await #expect(processExitsWith: .failure) {
            var batch = empty()
            _ = batch.failed(.unavailable, random: 0)
        }
        await #expect(processExitsWith: .failure) {
            var batch = pausing(1...1, after: .unavailable)
            _ = batch.failed(.unavailable, random: 0)
        }
        await #expect(processExitsWith: .failure) {
            var batch = empty()
            _ = batch.retry()
        }
        await #expect(processExitsWith: .failure) {
            var batch = attempting(1...1)
            _ = batch.retry()
        }
    }

    // MARK: Laws

    /// Plays random failures, deadlines and commits against a model of the store, and checks what
    /// each answer promised.
    @Test(arguments: 0..<300)
    func `no ballot is lost, answered twice or answered wrongly`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var batch = empty()
        var now: Int64 = 0
        var next = 1
        var stored: Set<Int> = []
        var answers: [Int: BallotOutcome] = [:]
        var inAttempt: [Int] = []

        func play(_ action: Batch.Action) {
            switch action {
            case .idle: break
            case .retryAfter(let nanoseconds): #expect((0...400).contains(nanoseconds))
            case .commit(let waiting): inAttempt = waiting.ballots.map { Int($0.id) }
            case .answer(let settled):
                for ballot in settled {
                    let number = Int(ballot.ticket!.number)
                    #expect(answers.updateValue(ballot.outcome, forKey: number) == nil)
                }
            }
        }

        for _ in 0..<200 {
            now += Int64.random(in: 0...3, using: &random)
            if Int.random(in: 0..<3, using: &random) == 0 { play(batch.expire(at: now)) }
            switch batch.phase {
            case .empty:
                var arrived = WaitingBallots()
                for _ in 0..<Int.random(in: 1...5, using: &random) {
                    arrived.append(ballot(next), deadline: now + 4 + Int64(arrived.count))
                    next += 1
                }
                play(batch.append(arrived))
            case .attempting:
                switch Int.random(in: 0..<4, using: &random) {
                case 0: play(batch.failed(.unavailable, random: 0.5))
                case 1:
                    if Bool.random(using: &random) { stored.formUnion(inAttempt) }
                    play(batch.failed(.commitUnknown, random: 0.5))
                case 2: break  // it takes longer
                default:
                    stored.formUnion(inAttempt)
                    play(batch.committed(counted(inAttempt)))
                }
            case .pausing: play(batch.retry())
            }
        }
        if batch.phase == .pausing { play(batch.retry()) }
        if batch.phase == .attempting {
            stored.formUnion(inAttempt)
            play(batch.committed(counted(inAttempt)))
        }

        #expect(batch.count == 0)
        #expect(Set(answers.keys) == Set(1..<next), "seed \(seed)")
        for (number, outcome) in answers {
            switch outcome {
            case .counted: #expect(stored.contains(number), "seed \(seed)")
            case .storageUnavailable: #expect(!stored.contains(number), "seed \(seed)")
            case .commitUnknown: #expect(stored.contains(number), "settled late; seed \(seed)")
            default: Issue.record("seed \(seed): \(outcome)")
            }
        }
    }
}

private func empty() -> Batch {
    Batch(backoff: Backoff(base: .nanoseconds(100), limit: .nanoseconds(400)))
}

private func attempting(_ numbers: ClosedRange<Int>) -> Batch {
    var batch = empty()
    _ = batch.append(waiting(numbers))
    return batch
}

private func pausing(_ numbers: ClosedRange<Int>, after failure: Batch.Failure) -> Batch {
    var batch = attempting(numbers)
    _ = batch.failed(failure, random: 1)
    return batch
}

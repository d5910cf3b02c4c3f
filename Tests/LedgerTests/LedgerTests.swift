import Glibc
import Polls
import Telemetry
import TestRandom
import Testing
import Threads

@testable import Ledger

@Suite struct LedgerTests {
    @Test func `every ballot is stored, announced and then answered`() {
        let room = Room()
        room.ledger.start()
        for number in 1...100 { #expect(room.ledger.enqueue(ballot(number))) }
        #expect(room.drain())
        #expect(room.store.storedIDs == Set(1...100))
        #expect(room.heard.answers().count == 100)
        #expect(room.heard.answers().values.allSatisfy { $0.isStored })
        #expect(room.heard.talliesComeFirst())
    }

    @Test func `what comes during a commit is the next batch`() {
        let room = Room(batchLimit: 4)
        room.store.block()
        room.ledger.start()
        _ = room.ledger.enqueue(ballot(1))
        room.store.waitForAttempts(1)
        for number in 2...7 { _ = room.ledger.enqueue(ballot(number)) }
        room.store.unblock()
        #expect(room.drain())
        #expect(room.store.batchSizes == [1, 4, 2])
    }

    @Test func `a full ledger refuses, and takes again after the commit`() {
        let room = Room(waitingBallots: 2)
        room.store.block()
        room.ledger.start()
        #expect(room.ledger.enqueue(ballot(1)))
        room.store.waitForAttempts(1)
        #expect(room.ledger.enqueue(ballot(2)))
        #expect(!room.ledger.enqueue(ballot(3)))
        room.store.unblock()
        room.heard.waitForAnswers(2)
        // The answer leaves just before the room is made.
        while !room.ledger.enqueue(ballot(3)) { sched_yield() }
        #expect(room.drain())
        #expect(room.store.storedIDs == [1, 2, 3])
        #expect(room.heard.answers().count == 3)
    }

    @Test func `a failed batch is kept and tried again`() {
        let room = Room()
        room.store.fail([.unavailable, .commitUnknown(stored: true), .commitUnknown(stored: false)])
        room.ledger.start()
        for number in 1...3 { _ = room.ledger.enqueue(ballot(number)) }
        #expect(room.drain())
        #expect(room.store.storedIDs == [1, 2, 3])
        #expect(room.heard.answers().count == 3)
        #expect(room.heard.answers().values.allSatisfy { $0.isStored })
        #expect(room.ledger.isHealthy)
    }

    @Test func `who is in an attempt past the limit is told unknown, once, and its tally comes`() {
        let room = Room()
        room.store.block()
        room.ledger.start()
        _ = room.ledger.enqueue(ballot(1))
        room.store.waitForAttempts(1)
        _ = room.ledger.enqueue(ballot(2))
        room.ledger.expire(at: .max)
        #expect(room.heard.answers()[1] == .commitUnknown)
        // It never was in an attempt, and the store was lost just before.
        #expect(room.heard.answers()[2] == .storageUnavailable)
        #expect(!room.ledger.isHealthy)
        room.store.unblock()
        #expect(room.drain())
        #expect(room.store.storedIDs == [1])
        #expect(room.heard.answers().count == 2)
        #expect(room.heard.tallies().last?.ballots == 1)
        #expect(room.ledger.isHealthy)
    }

    @Test func `the limit passes by itself while the store blocks`() {
        let room = Room(commitLimit: .milliseconds(30))
        room.store.block()
        room.ledger.start()
        _ = room.ledger.enqueue(ballot(1))
        room.store.waitForAttempts(1)
        for number in 2...5 { _ = room.ledger.enqueue(ballot(number)) }
        room.heard.waitForAnswers(5)
        #expect(room.heard.answers()[1] == .commitUnknown)
        for number in 2...5 { #expect(room.heard.answers()[number]?.isStored == false) }
        room.store.unblock()
        #expect(room.drain())
        #expect(room.store.storedIDs == [1])
    }

    @Test func `without storage ballots are told so, and it is asked until it is back`() {
        let room = Room(commitLimit: .milliseconds(30))
        room.store.setDown(true)
        room.ledger.start()
        for number in 1...5 { _ = room.ledger.enqueue(ballot(number)) }
        room.heard.waitForAnswers(5)
        #expect(room.heard.answers().values.allSatisfy { $0 == .storageUnavailable })
        #expect(room.store.storedIDs.isEmpty)
        #expect(!room.ledger.isHealthy)
        room.store.setDown(false)
        while !room.ledger.isHealthy {
            Thread.sleep(until: Clock.monotonicNanoseconds() + 1_000_000)
        }
        #expect(room.ledger.enqueue(ballot(6)))
        #expect(room.drain())
        #expect(room.heard.answers()[6]?.isStored == true)
    }

    @Test func `a drain without storage ends when all have an answer`() {
        let room = Room(commitLimit: .milliseconds(30))
        room.store.fail([.commitUnknown(stored: false)])
        room.ledger.start()
        _ = room.ledger.enqueue(ballot(1))
        room.store.waitForAttempts(1)
        room.store.setDown(true)
        for number in 2...3 { _ = room.ledger.enqueue(ballot(number)) }
        #expect(room.drain())
        #expect(room.heard.answers().count == 3)
        #expect(!room.ledger.enqueue(ballot(4)))
    }

    @Test func `a drain that takes too long says so, and goes on`() {
        let room = Room()
        room.store.block()
        room.ledger.start()
        _ = room.ledger.enqueue(ballot(1))
        room.store.waitForAttempts(1)
        #expect(!room.ledger.drain(until: Clock.monotonicNanoseconds()))
        room.store.unblock()
        #expect(room.drain())
        #expect(room.drain())
        #expect(room.heard.answers()[1]?.isStored == true)
    }

    @Test func `what was counted is shown`() {
        let room = Room(waitingBallots: 3)
        _ = room.ledger.enqueue(ballot(1))
        _ = room.ledger.enqueue(ballot(2))
        var second = ballot(2)
        second.choices = Choices(mask: 2)
        _ = room.ledger.enqueue(second)
        #expect(!room.ledger.enqueue(ballot(3)))
        room.ledger.start()
        #expect(room.drain())
        var text = MetricsText()
        Ledgers([room.ledger], room.ledger.statistics, ballotLimit: 3).write(to: &text)
        let lines = Set(String(decoding: text.bytes, as: UTF8.self).split(separator: "\n"))
        #expect(lines.contains("pollstream_ballots_total{outcome=\"counted\"} 2"))
        #expect(lines.contains("pollstream_ballots_total{outcome=\"already_voted\"} 1"))
        #expect(lines.contains("pollstream_ledger_refused_ballots_total 1"))
        #expect(lines.contains("pollstream_ledger_batch_ballots_sum 3"))
        #expect(lines.contains("pollstream_ledger_ballots 0"))
        #expect(lines.contains("pollstream_ledger_storage_up 1"))
    }

    /// Loops that hand in, a store that fails at random, and limits that pass.
    @Test(arguments: 0..<8)
    func `under random faults every ballot taken has one answer, and a true one`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let room = Room(waitingBallots: 300, batchLimit: 16)
        room.store.fail(
            (0..<40).map { _ in
                switch Int.random(in: 0..<3, using: &random) {
                case 0: .unavailable
                case 1: .commitUnknown(stored: true)
                default: .commitUnknown(stored: false)
                }
            })
        room.ledger.start()
        let taken = Taken()
        let loops = (0..<3).map { loop in
            Thread(name: "loop \(loop)") {
                for number in 0..<100 where room.ledger.enqueue(ballot(loop * 100 + number)) {
                    taken.insert(loop * 100 + number)
                    if number % 33 == 32 { room.ledger.expire(at: .max) }
                }
            }
        }
        loops.forEach { $0.join() }
        room.store.fail([])
        #expect(room.drain())
        let answers = room.heard.answers()
        let stored = room.store.storedIDs
        #expect(Set(answers.keys) == taken.numbers, "seed \(seed)")
        #expect(!room.heard.isAnsweredTwice())
        for (number, outcome) in answers {
            if outcome.isStored { #expect(stored.contains(Int64(number)), "seed \(seed)") }
            if outcome == .storageUnavailable || outcome == .overloaded {
                #expect(!stored.contains(Int64(number)), "seed \(seed)")
            }
        }
        #expect(room.heard.tallies().last.map(\.ballots) ?? 0 == Int64(stored.count))
    }
}

/// A ledger with a faulty store, and what it said.
private final class Room: Sendable {
    let store = FaultyStore()
    let heard = Heard()
    let ledger: Ledger

    init(
        waitingBallots: Int = 1_000, batchLimit: Int = 100, commitLimit: Duration = .seconds(60)
    ) {
        var settings = LedgerSettings()
        settings.waitingBallots = waitingBallots
        settings.batchLimit = batchLimit
        settings.commitLimit = commitLimit
        let heard = heard
        ledger = Ledger(
            settings: settings, store: store, log: quiet, random: { 0 },
            settled: { heard.hear($0) }, happened: { heard.hear($0) })
    }

    func drain() -> Bool { ledger.drain(until: Clock.monotonicNanoseconds() + 60_000_000_000) }
}

private let quiet = Log(
    level: .error, format: .text, to: LogOutput(descriptor: open("/dev/null", O_WRONLY)),
    now: { 0 })

private final class Heard: @unchecked Sendable {
    // Guarded by `monitor`: all that follow.
    private let monitor = Monitor()
    private var outcomes: [Int: BallotOutcome] = [:]
    private var isDoubled = false
    private var announced: [Tally] = []
    private var isInOrder = true

    func hear(_ answers: [SettledBallot]) {
        monitor.withLock {
            for answer in answers {
                let number = Int(answer.ticket!.number)
                if outcomes.updateValue(answer.outcome, forKey: number) != nil { isDoubled = true }
                if case .counted(let revision) = answer.outcome,
                    revision > announced.last?.revision ?? 0
                {
                    isInOrder = false
                }
            }
            monitor.signalAll()
        }
    }

    func hear(_ event: PollEvent) {
        monitor.withLock {
            if case .tallies(let tallies) = event { announced += tallies }
        }
    }

    func waitForAnswers(_ count: Int) {
        monitor.withLock { while outcomes.count < count { monitor.wait() } }
    }

    func answers() -> [Int: BallotOutcome] { monitor.withLock { outcomes } }
    func isAnsweredTwice() -> Bool { monitor.withLock { isDoubled } }
    func tallies() -> [Tally] { monitor.withLock { announced } }
    func talliesComeFirst() -> Bool { monitor.withLock { isInOrder && !announced.isEmpty } }
}

private final class Taken: @unchecked Sendable {
    private let monitor = Monitor()
    // Guarded by `monitor`.
    private var all: Set<Int> = []

    var numbers: Set<Int> { monitor.withLock { all } }

    func insert(_ number: Int) { _ = monitor.withLock { all.insert(number) } }
}

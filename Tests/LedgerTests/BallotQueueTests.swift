import Testing
import Threads

@testable import Ledger

@Suite struct BallotQueueTests {
    private func queue(limit: Int = 100, batchLimit: Int = 100) -> BallotQueue {
        BallotQueue(limit: limit, batchLimit: batchLimit)
    }

    @Test func `ballots leave in the order they came`() {
        let queue = queue()
        for number in 1...5 { #expect(queue.enqueue(ballot(number), deadline: Int64(number))) }
        #expect(queue.takeAll(until: nil) == .batch(waiting(1...5)))
    }

    @Test func `a batch is at most the limit, and the rest is the next`() {
        let queue = queue(batchLimit: 2)
        for number in 1...5 { #expect(queue.enqueue(ballot(number), deadline: Int64(number))) }
        #expect(queue.takeAll(until: nil) == .batch(waiting(1...2)))
        #expect(queue.takeAll(until: nil) == .batch(waiting(3...4)))
        #expect(queue.takeAll(until: nil) == .batch(waiting(5...5)))
        #expect(queue.takeAll(until: 0) == .nothing)
    }

    @Test func `a full queue refuses, and what is in commit counts`() {
        let queue = queue(limit: 2)
        #expect(queue.enqueue(ballot(1), deadline: 1))
        #expect(queue.enqueue(ballot(2), deadline: 2))
        #expect(!queue.enqueue(ballot(3), deadline: 3))
        _ = queue.takeAll(until: nil)
        #expect(!queue.enqueue(ballot(3), deadline: 3))
        #expect(queue.count == 2)
        queue.release(1)
        #expect(queue.enqueue(ballot(3), deadline: 3))
        #expect(!queue.enqueue(ballot(4), deadline: 4))
    }

    @Test func `who has expired leaves, in order, and makes room`() {
        let queue = queue(limit: 5, batchLimit: 2)
        for number in 1...5 { _ = queue.enqueue(ballot(number), deadline: Int64(number)) }
        #expect(queue.removeExpired(at: 0).isEmpty)
        #expect(queue.removeExpired(at: 3) == ballots(1...3))
        #expect(queue.count == 2)
        #expect(queue.earliestDeadline == 4)
        #expect(queue.takeAll(until: nil) == .batch(waiting(4...4)))
        #expect(queue.removeExpired(at: 9) == ballots(5...5))
        #expect(queue.earliestDeadline == nil)
        #expect(queue.takeAll(until: 0) == .nothing)
    }

    @Test func `deadlines ascend whatever the threads' clocks say`() {
        let queue = queue()
        _ = queue.enqueue(ballot(1), deadline: 5)
        _ = queue.enqueue(ballot(2), deadline: 4)
        #expect(queue.removeExpired(at: 4).isEmpty)
        #expect(queue.removeExpired(at: 5) == ballots(1...2))
    }

    @Test func `a closed queue takes no more and gives what it has`() {
        let queue = queue()
        _ = queue.enqueue(ballot(1), deadline: 1)
        queue.close()
        #expect(!queue.enqueue(ballot(2), deadline: 2))
        #expect(queue.takeAll(until: nil) == .batch(waiting(1...1)))
        #expect(queue.takeAll(until: nil) == .closed)
    }

    @Test func `the close wakes who waits`() {
        let queue = queue()
        let thread = Thread(name: "taker") { #expect(queue.takeAll(until: nil) == .closed) }
        queue.close()
        thread.join()
    }

    @Test func `what four threads bring is taken once, each thread's in order`() {
        let queue = queue(limit: 4_000, batchLimit: 64)
        let threads = (0..<4).map { thread in
            Thread(name: "loop") {
                for number in 0..<1_000 {
                    _ = queue.enqueue(ballot(thread * 1_000 + number), deadline: 0)
                }
            }
        }
        var taken: [Int64] = []
        while taken.count < 4_000, case .batch(let batch) = queue.takeAll(until: nil) {
            #expect(batch.count <= 64)
            taken += batch.ballots.map(\.id)
        }
        threads.forEach { $0.join() }
        for thread in 0..<4 {
            let own = taken.filter { $0 / 1_000 == thread }
            #expect(own == (0..<1_000).map { Int64(thread * 1_000 + $0) })
        }
    }
}

import Polls
import Testing

@testable import Events

struct ConfirmsTests {
    private func id(_ number: Int) -> RecordedEvent.ID { RecordedEvent.ID(number: Int64(number)) }

    /// A page of events with so many messages each, all sent.
    private func page(_ sizes: [Int]) -> Confirms {
        var confirms = Confirms()
        for (number, size) in sizes.enumerated() {
            for _ in 0..<size { confirms.noteSent() }
            confirms.end(id(number))
        }
        return confirms
    }

    @Test func `an event is settled with its last message and all before it`() {
        var confirms = page([2, 0, 1])
        #expect(confirms.unconfirmedCount == 3)
        #expect(confirms.take(3, andAllBefore: false) == 1)
        #expect(confirms.takeSettled().isEmpty, "the first is not")
        #expect(confirms.take(1, andAllBefore: false) == 1)
        #expect(confirms.takeSettled().isEmpty, "half of it is")
        #expect(confirms.take(2, andAllBefore: false) == 1)
        #expect(confirms.takeSettled() == [id(0), id(1), id(2)])
        #expect(confirms.takeSettled().isEmpty, "each once")
        #expect(confirms.unconfirmedCount == 0)
    }

    @Test func `one word may be about all before it, or about all`() {
        var confirms = page([1, 1, 1])
        #expect(confirms.take(2, andAllBefore: true) == 2)
        #expect(confirms.takeSettled() == [id(0), id(1)])
        #expect(confirms.take(0, andAllBefore: true) == 1)
        #expect(confirms.takeSettled() == [id(2)])
    }

    @Test func `what was never sent cannot be confirmed, and twice is once`() {
        var confirms = page([1, 1])
        #expect(confirms.take(3, andAllBefore: false) == nil)
        #expect(confirms.take(3, andAllBefore: true) == nil)
        #expect(confirms.take(0, andAllBefore: false) == nil)
        for expected in [1, 0] {
            #expect(confirms.take(2, andAllBefore: false) == expected)
        }
        #expect(confirms.take(1, andAllBefore: false) == 1)
        for tag in [1, 2] as [UInt64] {
            #expect(confirms.take(tag, andAllBefore: false) == 0)
            #expect(confirms.take(tag, andAllBefore: true) == 0)
        }
    }

    @Test func `an event without messages waits for those before it only`() {
        var confirms = page([0, 1, 0])
        #expect(confirms.takeSettled() == [id(0)])
        #expect(confirms.take(1, andAllBefore: false) == 1)
        #expect(confirms.takeSettled() == [id(1), id(2)])
    }

    /// Sends an event's message, or hears of one, in every order, and is lost after every step.
    @Test(arguments: [[1, 1, 1, 1], [2, 1, 2], [3, 2], [0, 2, 0, 2, 0], [1, 0, 3]])
    func `whenever it is lost, what is settled was confirmed, and in front`(sizes: [Int]) {
        var orders = 0
        step(Confirms(), sizes, sent: 0, confirmed: [], settled: 0, &orders)
        #expect(orders > 20)
    }

    private func step(
        _ confirms: Confirms, _ sizes: [Int], sent: Int, confirmed: Set<Int>, settled: Int,
        _ orders: inout Int
    ) {
        // Lost here: all from `settled` on would be sent again.
        let total = sizes.reduce(0, +)
        let messagesSettled = sizes.prefix(settled).reduce(0, +)
        #expect((0..<messagesSettled).allSatisfy { confirmed.contains($0 + 1) })
        #expect(confirms.unconfirmedCount == sent - confirmed.count)
        if confirmed.count == total {
            #expect(settled == sizes.count)
            orders += 1
            return
        }
        if sent < total {
            var next = confirms
            next.noteSent()
            end(sizes, after: sent + 1, in: &next)
            if sent == 0 {
                // Those that are empty at the very front.
                next = Confirms()
                end(sizes, after: 0, in: &next)
                next.noteSent()
                end(sizes, after: 1, in: &next)
            }
            let more = next.takeSettled().count
            step(
                next, sizes, sent: sent + 1, confirmed: confirmed, settled: settled + more, &orders)
        }
        for tag in 1...max(1, sent) where sent > 0 && !confirmed.contains(tag) {
            var next = confirms
            #expect(next.take(UInt64(tag), andAllBefore: false) == 1)
            let ids = next.takeSettled()
            #expect(ids == (settled..<settled + ids.count).map(id))
            step(
                next, sizes, sent: sent, confirmed: confirmed.union([tag]),
                settled: settled + ids.count, &orders)
            var all = confirms
            let united = confirmed.union(1...tag)
            #expect(
                all.take(UInt64(tag), andAllBefore: true) == united.count - confirmed.count)
            let allIDs = all.takeSettled()
            #expect(allIDs == (settled..<settled + allIDs.count).map(id))
            // From here on it is as in the branch above; one look is enough.
            #expect(all.unconfirmedCount == sent - united.count)
        }
    }

    /// Ends the events of which message `count` is the last, with the empty ones behind it.
    private func end(_ sizes: [Int], after count: Int, in confirms: inout Confirms) {
        var last = 0
        for (number, size) in sizes.enumerated() {
            last += size
            if last == count { confirms.end(id(number)) }
        }
    }
}

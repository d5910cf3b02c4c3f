import Identity
import Polls
package import Reactor

/// The front door of one loop: routes requests, holds the boards of the polls that are watched or
/// voted on here, and gives answers back to who waits for them. Confined to its loop's thread.
package final class Gateway {
    package let settings: GatewaySettings
    let doors: Doors
    /// What the loops of a process have in common.
    let shared: Shared
    /// Set once by `attach`, before the loop runs.
    private(set) var loop: Loop!
    private let loopIndex: UInt32
    private var inbox: Inbox<LoopMessage>!
    private var arrived: [LoopMessage] = []
    private var waiting = WaitingTable()

    package init(loopIndex: Int, settings: GatewaySettings, doors: Doors, shared: Shared) {
        self.loopIndex = UInt32(loopIndex)
        self.settings = settings
        self.doors = doors
        self.shared = shared
    }

    /// - Returns: the inbox through which other threads reach this loop.
    package func attach(to loop: Loop) -> Inbox<LoopMessage> {
        self.loop = loop
        let inbox = Inbox<LoopMessage>(waker: loop.waker)
        self.inbox = inbox
        return inbox
    }

    // MARK: Asking the rooms behind

    /// Asks the catalogue. `then` runs on this loop, at once with `.overloaded` where it is full.
    func ask(_ request: CatalogueRequest, then: @escaping (CatalogueAnswer) -> Void) {
        let number = waiting.insert(.catalogue(then))
        if !doors.ask(request, Ticket(loop: loopIndex, number: number)) {
            _ = waiting.remove(number)
            then(.refused(.overloaded))
        }
    }

    /// Casts an admitted ballot. `then` runs on this loop after the commit, at once with
    /// `.overloaded` where the queue is full.
    func cast(_ ballot: Ballot, then: @escaping (BallotOutcome) -> Void) {
        let number = waiting.insert(.ballot(then))
        var ballot = ballot
        ballot.ticket = Ticket(loop: loopIndex, number: number)
        if !doors.enqueue(ballot) {
            _ = waiting.remove(number)
            then(.overloaded)
        }
    }
}

/// Who waits for an answer on this loop, by the number of its ticket. Bounded by the queues of the
/// rooms behind and by the pipelines of connections.
struct WaitingTable {
    enum Waiter {
        case ballot((BallotOutcome) -> Void)
        case catalogue((CatalogueAnswer) -> Void)
    }

    private var slots: [Waiter?] = []
    private var free: [UInt32] = []

    mutating func insert(_ waiter: Waiter) -> UInt32 {
        if let number = free.popLast() {
            slots[Int(number)] = waiter
            return number
        }
        slots.append(waiter)
        return UInt32(slots.count - 1)
    }

    mutating func remove(_ number: UInt32) -> Waiter? {
        guard let waiter = slots[Int(number)] else { return nil }
        slots[Int(number)] = nil
        free.append(number)
        return waiter
    }
}

import Polls

/// Who waits for an answer on this loop, by the number of its ticket. Bounded by the queues of the
/// rooms behind and by the pipelines of connections.
struct WaitingTable {
    enum Waiter {
        case catalogue((CatalogueAnswer) -> Void)
        /// - `isAnnounced`: where the ballot is stored, other loops hear whose it is.
        case ballot(isAnnounced: Bool, then: (BallotOutcome) -> Void)
        /// Kept without a closure: the one waiter that comes by the ten thousand.
        case socketVote(SocketVote)
        /// Nobody waits, but other loops hear whose ballot it was.
        case announcement
        /// Nobody waits, but the feed tells of it.
        case nobody
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

    /// nil where it has been answered before.
    mutating func remove(_ number: UInt32) -> Waiter? {
        guard Int(number) < slots.count, let waiter = slots[Int(number)] else { return nil }
        slots[Int(number)] = nil
        free.append(number)
        return waiter
    }
}

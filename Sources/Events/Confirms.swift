import Polls

/// Which events of a page the broker has taken, from the front: what comes after a message that it has
/// not is sent again with it, so that the last word on a poll is always its last. Asks nobody
/// anything.
struct Confirms {
    /// Messages of one channel are counted from 1 on.
    private var sentCount: UInt64 = 0
    /// All messages up to this one are confirmed.
    private var confirmedUpTo: UInt64 = 0
    /// Beyond it, as the broker has them in whatever order suits its disk.
    private var confirmedBeyond: Set<UInt64> = []
    /// With the last message of each; those in front are settled first.
    private var events: [(id: RecordedEvent.ID, last: UInt64)] = []

    /// Messages that are sent and not confirmed.
    var unconfirmedCount: Int { Int(sentCount - confirmedUpTo) - confirmedBeyond.count }

    mutating func noteSent() { sentCount += 1 }

    /// All messages of this event are sent; there may have been none.
    mutating func end(_ id: RecordedEvent.ID) { events.append((id, sentCount)) }

    /// - Returns: how many messages this has confirmed; nil for one that was never sent.
    mutating func take(_ tag: UInt64, andAllBefore: Bool) -> Int? {
        // 0 with `multiple` is "all so far" (AMQP 0-9-1, basic.ack).
        let tag = tag == 0 && andAllBefore ? sentCount : tag
        guard tag > 0 || andAllBefore, tag <= sentCount else { return nil }
        let before = unconfirmedCount
        if andAllBefore {
            confirmedUpTo = max(confirmedUpTo, tag)
            confirmedBeyond = confirmedBeyond.filter { $0 > confirmedUpTo }
        } else if tag > confirmedUpTo {
            confirmedBeyond.insert(tag)
        }
        while confirmedBeyond.remove(confirmedUpTo + 1) != nil { confirmedUpTo += 1 }
        return before - unconfirmedCount
    }

    /// The events from the front of which every message is confirmed; each is returned once.
    mutating func takeSettled() -> [RecordedEvent.ID] {
        let count = events.firstIndex { $0.last > confirmedUpTo } ?? events.count
        defer { events.removeFirst(count) }
        return events[..<count].map(\.id)
    }
}

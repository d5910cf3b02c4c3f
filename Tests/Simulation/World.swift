/// What all parts of one run share: its time, its chance, what is to happen when, and what went
/// wrong. Everything runs on one thread, which is what makes every `@unchecked Sendable` here true.
final class World: @unchecked Sendable {
    /// Monotonic nanoseconds, made up.
    private(set) var now: Int64 = 1_000_000_000_000
    var chance: Chance
    let mutation: Mutation?
    private(set) var violations: [String] = []
    private(set) var counts: [String: Int] = [:]
    private var trace: [String] = []
    private let traces: Bool
    private var events: [Event] = []
    private var eventCount: UInt64 = 0

    private struct Event {
        let time: Int64
        let number: UInt64
        let action: () -> Void

        static func < (a: Event, b: Event) -> Bool {
            (a.time, a.number) < (b.time, b.number)
        }
    }

    init(seed: UInt64, mutation: Mutation?, traces: Bool) {
        chance = Chance(seed: seed)
        self.mutation = mutation
        self.traces = traces
    }

    var unixMilliseconds: Int64 { 1_790_000_000_000 + now / 1_000_000 }

    // MARK: What happens when

    func after(_ nanoseconds: Int64, _ action: @escaping () -> Void) {
        at(now + max(0, nanoseconds), action)
    }

    /// In the order of time; at one time, in the order of asking.
    func at(_ time: Int64, _ action: @escaping () -> Void) {
        eventCount += 1
        events.append(Event(time: max(time, now), number: eventCount, action: action))
        var child = events.count - 1
        while child > 0, events[child] < events[(child - 1) / 2] {
            events.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// Runs what is due until `time`, and whatever that brings.
    func run(until time: Int64) {
        while let first = events.first, first.time <= time {
            removeFirst()
            now = first.time
            first.action()
        }
        now = time
    }

    private func removeFirst() {
        events.swapAt(0, events.count - 1)
        events.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < events.count {
                if events[child] < events[least] { least = child }
            }
            if least == parent { return }
            events.swapAt(parent, least)
            parent = least
        }
    }

    /// Lets go of all that was still to come: it holds on to what it is about.
    func end() { events.removeAll() }

    // MARK: What is told

    /// An invariant is broken.
    func violate(_ text: @autoclosure () -> String) {
        let text = text()
        tell("VIOLATION: " + text)
        violations.append(text)
    }

    func expect(_ isTrue: Bool, _ text: @autoclosure () -> String) {
        if !isTrue { violate(text()) }
    }

    func count(_ what: String, _ amount: Int = 1) { counts[what, default: 0] += amount }

    func tell(_ text: @autoclosure () -> String) {
        if traces { trace.append("\(now / 1_000 % 1_000_000_000) µs  \(text())") }
    }

    var story: [String] { trace }
}

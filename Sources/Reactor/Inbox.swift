import Threads

/// What other threads have for a loop: a lock around an array, and one wake-up per batch.
package final class Inbox<Element: Sendable>: @unchecked Sendable {
    // `monitor` guards `elements`. The array is bounded by what its writers have in flight: answers
    // to requests and ballots that were taken, and one tally per poll and commit.
    private let monitor = Monitor()
    private var elements: [Element] = []
    private let waker: LoopWaker

    package init(waker: LoopWaker) { self.waker = waker }

    /// Any thread.
    package func append(_ element: Element) {
        monitor.lock()
        let wasEmpty = elements.isEmpty
        elements.append(element)
        monitor.unlock()
        if wasEmpty { waker.wake() }
    }

    /// Takes everything, in order. `spare` comes back empty and keeps its storage for the next time.
    package func drain(into spare: inout [Element]) {
        spare.removeAll(keepingCapacity: true)
        monitor.lock()
        swap(&spare, &elements)
        monitor.unlock()
    }
}

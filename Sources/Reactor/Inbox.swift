import Glibc

/// What other threads have for a loop: a lock around an array, and one wake-up per batch.
package final class Inbox<Element: Sendable>: @unchecked Sendable {
    // `lock` guards `elements`. A pthread mutex, because ThreadSanitizer understands it. The array is
    // bounded by what its writers have in flight: answers to requests and ballots that were taken,
    // and one tally per poll and commit.
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var elements: [Element] = []
    private let waker: LoopWaker

    package init(waker: LoopWaker) {
        self.waker = waker
        pthread_mutex_init(lock, nil)
    }

    deinit {
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    /// Any thread.
    package func append(_ element: Element) {
        pthread_mutex_lock(lock)
        let wasEmpty = elements.isEmpty
        elements.append(element)
        pthread_mutex_unlock(lock)
        if wasEmpty { waker.wake() }
    }

    /// Any thread. One lock and at most one wake-up for all of them.
    package func append(contentsOf batch: some Collection<Element>) {
        if batch.isEmpty { return }
        pthread_mutex_lock(lock)
        let wasEmpty = elements.isEmpty
        elements.append(contentsOf: batch)
        pthread_mutex_unlock(lock)
        if wasEmpty { waker.wake() }
    }

    /// Takes everything, in order. `spare` comes back empty and keeps its storage for the next time.
    package func drain(into spare: inout [Element]) {
        spare.removeAll(keepingCapacity: true)
        pthread_mutex_lock(lock)
        swap(&spare, &elements)
        pthread_mutex_unlock(lock)
    }
}

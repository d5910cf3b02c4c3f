import Glibc

/// A mutex and the one condition that is waited for under it. The owner keeps what it guards in
/// plain properties and touches them between `lock` and `unlock` only.
///
/// POSIX rather than `Synchronization.Mutex`: it has the condition, and ThreadSanitizer knows it.
package final class Monitor: @unchecked Sendable {
    // Both are for any thread; at their own addresses, because a lock must not move.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    package init() {
        check(pthread_mutex_init(mutex, nil))
        var attributes = pthread_condattr_t()
        check(pthread_condattr_init(&attributes))
        // A deadline on the wall clock would move whenever that is set.
        check(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC))
        check(pthread_cond_init(condition, &attributes))
        check(pthread_condattr_destroy(&attributes))
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    package func lock() { check(pthread_mutex_lock(mutex)) }

    package func unlock() { check(pthread_mutex_unlock(mutex)) }

    /// Does `body` with the lock held.
    /// - Throws: what `body` throws; the lock is free again.
    package func withLock<Value, Failure: Error>(_ body: () throws(Failure) -> Value)
        throws(Failure) -> Value
    {
        lock()
        defer { unlock() }
        return try body()
    }

    /// Wakes one waiter, or the next to wait finds what changed by looking first.
    package func signal() { check(pthread_cond_signal(condition)) }

    package func signalAll() { check(pthread_cond_broadcast(condition)) }

    /// Lets go of the lock until a signal comes; may also return without one, so wait in a loop.
    package func wait() { check(pthread_cond_wait(condition, mutex)) }

    /// As `wait()`, and returns false once `deadline` has passed.
    /// - Parameter deadline: monotonic nanoseconds; nil waits for a signal only.
    package func wait(until deadline: Int64?) -> Bool {
        guard let deadline else {
            wait()
            return true
        }
        var time = timespec(
            tv_sec: Int(max(deadline, 0) / 1_000_000_000),
            tv_nsec: Int(max(deadline, 0) % 1_000_000_000))
        let code = pthread_cond_timedwait(condition, mutex, &time)
        if code == ETIMEDOUT { return false }
        check(code)
        return true
    }

    /// What a lock can answer besides 0 is a misuse of it, hence a bug of ours.
    private func check(_ code: Int32) { precondition(code == 0, "lock misused: error \(code)") }
}

import Glibc

/// A thread of our own: for work that blocks.
package final class Thread: @unchecked Sendable {
    // Written once by `init`, before anybody else can see it.
    private let id: pthread_t
    private let end = End()

    /// Starts at once. Signals are delivered to other threads.
    /// - Parameters:
    ///   - name: as `top -H` shows it; the kernel keeps 15 bytes.
    ///   - body: what it does; the thread ends with it.
    /// - Precondition: the system has a thread to give; without one the process cannot work.
    package init(name: String, _ body: @escaping @Sendable () -> Void) {
        let end = end
        let start = Unmanaged.passRetained(
            Start(name: name) {
                body()
                end.reach()
            })
        var id = pthread_t()
        let code = pthread_create(
            &id, nil,
            { context in
                let start = Unmanaged<Start>.fromOpaque(context!).takeRetainedValue()
                start.run()
                return nil
            }, start.toOpaque())
        precondition(code == 0, "no thread for \(name): error \(code)")
        self.id = id
    }

    /// Waits until it has ended. Once, and not from itself.
    package func join() {
        let code = pthread_join(id, nil)
        precondition(code == 0, "thread joined twice, or by itself: error \(code)")
    }

    /// Lets it end by itself: nobody joins it. Once.
    package func detach() {
        let code = pthread_detach(id)
        precondition(code == 0, "thread detached twice, or joined: error \(code)")
    }

    /// As `join()`, but gives up at `deadline`, monotonic nanoseconds. Once it has ended, no more.
    /// - Returns: whether it has ended; if not, it may go on for as long as the process does.
    package func join(until deadline: Int64) -> Bool {
        guard end.wait(until: deadline) else { return false }
        join()
        return true
    }

    /// Blocks the calling thread until `deadline`, monotonic nanoseconds.
    package static func sleep(until deadline: Int64) {
        var time = timespec(
            tv_sec: Int(max(deadline, 0) / 1_000_000_000),
            tv_nsec: Int(max(deadline, 0) % 1_000_000_000))
        while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
    }
}

/// Whether a thread has done its work; POSIX has no portable way to wait for that with a limit.
private final class End: @unchecked Sendable {
    private let monitor = Monitor()
    // Guarded by `monitor`.
    private var isReached = false

    func reach() {
        monitor.withLock { isReached = true }
        monitor.signalAll()
    }

    func wait(until deadline: Int64) -> Bool {
        monitor.withLock {
            while !isReached {
                guard monitor.wait(until: deadline) else { return isReached }
            }
            return true
        }
    }
}

/// What a thread takes with it.
private final class Start {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }

    func run() {
        // A handler that runs here could find any of our locks held.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)
        showName()
        body()
    }

    /// Through /proc, since `pthread_setname_np` is a GNU extension that the Glibc module leaves out.
    /// Where that cannot be written the thread keeps the process's name.
    private func showName() {
        let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        let bytes = Array(name.utf8.prefix(15))
        _ = write(file, bytes, bytes.count)
        _ = close(file)
    }
}

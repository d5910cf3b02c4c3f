import Glibc
import Testing

@testable import Threads

@Suite struct ThreadTests {
    @Test func `a thread has its name`() {
        let seen = Seen()
        Thread(name: "ledger of polls and more") { seen.name = currentName() }.join()
        #expect(seen.name == "ledger of polls")
    }

    @Test func `a thread takes no signals`() {
        let seen = Seen()
        Thread(name: "deaf") {
            var mask = sigset_t()
            pthread_sigmask(SIG_BLOCK, nil, &mask)
            seen.isDeaf = sigismember(&mask, SIGTERM) == 1
        }.join()
        #expect(seen.isDeaf)
    }

    @Test func `who joins a thread may give up`() {
        let monitor = Monitor()
        let gate = Gate()
        let thread = Thread(name: "busy") {
            monitor.withLock { while !gate.isOpen { monitor.wait() } }
        }
        #expect(!thread.join(until: Clock.monotonicNanoseconds() + 1_000_000))
        monitor.withLock { gate.isOpen = true }
        monitor.signalAll()
        #expect(thread.join(until: Clock.monotonicNanoseconds() + 60_000_000_000))
    }

    @Test func `a group has ended when its last thread has, and says so again`() {
        let monitor = Monitor()
        let gate = Gate()
        let group = ThreadGroup()
        for number in 0..<4 {
            group.start(name: "one of a group") {
                monitor.withLock { while number == 2, !gate.isOpen { monitor.wait() } }
            }
        }
        #expect(!group.join(until: Clock.monotonicNanoseconds() + 1_000_000))
        monitor.withLock { gate.isOpen = true }
        monitor.signalAll()
        for _ in 0..<2 {
            #expect(group.join(until: Clock.monotonicNanoseconds() + 60_000_000_000))
        }
    }

    @Test func `a sleeper wakes after its deadline`() {
        let deadline = Clock.monotonicNanoseconds() + 2_000_000
        Thread.sleep(until: deadline)
        #expect(Clock.monotonicNanoseconds() >= deadline)
    }

    @Test func `monotonic time does not fall`() {
        var last = Clock.monotonicNanoseconds()
        for _ in 0..<1_000 {
            let now = Clock.monotonicNanoseconds()
            #expect(now >= last)
            last = now
        }
    }
}

/// Written by a thread, read after its end.
private final class Seen: @unchecked Sendable {
    var name = ""
    var isDeaf = false
}

/// Guarded by a monitor beside it.
private final class Gate: @unchecked Sendable {
    var isOpen = false
}

private func currentName() -> String {
    var bytes = [UInt8](repeating: 0, count: 32)
    let file = open("/proc/thread-self/comm", O_RDONLY)
    let count = read(file, &bytes, bytes.count)
    _ = close(file)
    return String(decoding: bytes.prefix(max(count, 0)).prefix { $0 != 0x0A }, as: UTF8.self)
}

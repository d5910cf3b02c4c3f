import Glibc
import Synchronization
import Threads

/// Where log lines go: a descriptor, normally standard error. Who logs leaves the line in a bounded
/// buffer; a thread of its own writes. So a terminal that is stopped, a pipe that nobody reads or a
/// full disk costs lines, which are counted, and never delays the service.
///
/// For any thread.
package final class LogOutput: @unchecked Sendable {
    // Guarded by `monitor`: `lines`, `isWriting`, `isClosed`.
    private let monitor = Monitor()
    private var lines: [[UInt8]] = []
    /// The thread has taken lines that are not all written.
    private var isWriting = false
    private var isClosed = false

    private let descriptor: Int32
    private let lineLimit: Int
    private let dropped = Atomic<UInt64>(0)
    // Set by `init` only; keeps `self` until `close`.
    private var thread: Thread!

    /// - Parameters:
    ///   - descriptor: borrowed; must stay open until `close` has returned.
    ///   - lineLimit: lines that may wait, each at most `LogLine.limitBytes`; as many may be with the
    ///     writer.
    package init(descriptor: Int32 = STDERR_FILENO, lineLimit: Int = 1_024) {
        self.descriptor = descriptor
        self.lineLimit = lineLimit
        thread = Thread(name: "log") { self.run() }
    }

    /// Lines that were lost: the buffer was full, or the write failed.
    package var droppedLines: UInt64 { dropped.load(ordering: .relaxed) }

    /// - Parameter line: ends with a newline.
    func write(_ line: [UInt8]) {
        monitor.lock()
        let isTaken = !isClosed && lines.count < lineLimit
        let wasEmpty = lines.isEmpty
        if isTaken { lines.append(line) }
        monitor.unlock()
        if !isTaken { count(1) } else if wasEmpty { monitor.signalAll() }
    }

    /// Waits until everything logged so far is written or lost, but not past `deadline` (monotonic
    /// nanoseconds): before an exit.
    /// - Returns: whether nothing is left.
    @discardableResult
    package func flush(until deadline: Int64) -> Bool {
        monitor.lock()
        defer { monitor.unlock() }
        while !lines.isEmpty || isWriting {
            if !monitor.wait(until: deadline) { return false }
        }
        return true
    }

    /// Writes what waits and ends the thread. Blocks as long as the descriptor does; a process that
    /// exits needs `flush` only.
    package func close() {
        monitor.withLock { isClosed = true }
        monitor.signalAll()
        thread.join()
    }

    // MARK: The writer's thread

    private func run() {
        while let taken = take() { taken.forEach(put) }
    }

    /// nil when closed and empty.
    private func take() -> [[UInt8]]? {
        monitor.lock()
        defer { monitor.unlock() }
        isWriting = false
        if lines.isEmpty { monitor.signalAll() }
        while lines.isEmpty {
            if isClosed { return nil }
            monitor.wait()
        }
        isWriting = true
        defer { lines.removeAll() }
        return lines
    }

    /// One `write` a line. Only a full disk or a signal cuts it short; then the rest follows.
    private func put(_ line: [UInt8]) {
        var rest = line[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written > 0 {
                rest = rest.dropFirst(written)
            } else if written < 0, errno == EAGAIN {
                // Somebody who shares the descriptor made it non-blocking.
                var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&wanted, 1, -1)
            } else if written == 0 || errno != EINTR {
                return count(1)
            }
        }
    }

    private func count(_ lines: UInt64) { dropped.wrappingAdd(lines, ordering: .relaxed) }
}

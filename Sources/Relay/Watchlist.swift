import Glibc
package import Polls
import Threads

/// The polls somebody watches through this process, and what of it the subscriber has yet to tell
/// Redis. Thread-safe; a change wakes the one that polls `descriptor`.
package final class Watchlist: @unchecked Sendable {
    package struct Changes {
        package var watched: [PollID] = []
        package var left: [PollID] = []
    }

    /// Readable when there are changes.
    let descriptor: Int32
    private let bell: Int32
    // Guarded by `monitor`.
    private let monitor = Monitor()
    /// By how many loops; bounded by their boards.
    private var watchers: [PollID: Int] = [:]
    private var touched: Set<PollID> = []
    /// What Redis was told.
    private var told: Set<PollID> = []

    package init() {
        var ends: [Int32] = [-1, -1]
        precondition(pipe(&ends) == 0, "no pipe for the relay: error \(errno)")
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        (descriptor, bell) = (ends[0], ends[1])
    }

    deinit {
        close(descriptor)
        close(bell)
    }

    package func watch(_ id: PollID) { update(id, by: 1) }

    package func leave(_ id: PollID) { update(id, by: -1) }

    package func isWatched(_ id: PollID) -> Bool { monitor.withLock { watchers[id] != nil } }

    var pollCount: Int { monitor.withLock { watchers.count } }

    /// Begins again, on a new connection. - Returns: all that is watched.
    package func takeAll() -> [PollID] {
        monitor.withLock {
            silence()
            touched.removeAll()
            told = Set(watchers.keys)
            return Array(told)
        }
    }

    /// - Returns: what has changed since, each poll once.
    package func takeChanges() -> Changes {
        monitor.withLock {
            silence()
            var changes = Changes()
            for id in touched {
                switch (watchers[id] != nil, told.contains(id)) {
                case (true, false):
                    told.insert(id)
                    changes.watched.append(id)
                case (false, true):
                    told.remove(id)
                    changes.left.append(id)
                default: break
                }
            }
            touched.removeAll()
            return changes
        }
    }

    /// Wakes the subscriber without a change.
    func wake() {
        var one: UInt8 = 1
        // A pipe that is full wakes as well.
        _ = write(bell, &one, 1)
    }

    private func update(_ id: PollID, by difference: Int) {
        let wasIdle = monitor.withLock {
            let count = watchers[id, default: 0] + difference
            watchers[id] = count > 0 ? count : nil
            defer { touched.insert(id) }
            return touched.isEmpty
        }
        if wasIdle { wake() }
    }

    private func silence() {
        var bytes = [UInt8](repeating: 0, count: 64)
        while read(descriptor, &bytes, bytes.count) == bytes.count {}
    }
}

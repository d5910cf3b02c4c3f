package import Polls
import Threads

/// What is yet to be published: of each poll the newest of each kind, so that a Redis that is slow
/// or away costs memory for polls, not for votes. Thread-safe.
package final class RelayOutbox: @unchecked Sendable {
    /// Of one poll.
    package struct Unsent: Equatable {
        var tally: Tally?
        var isChanged = false
        /// Viewers here.
        var viewerCount: Int?
        var counted: [VoteNotice] = []
        /// Who has voted, where that shows them the counts.
        var voters: [VoterKey] = []
    }

    /// Votes told of, of one poll; past it the oldest are forgotten.
    private static let countedLimit = 64
    /// Voters of one poll; the ballot of whoever does not fit is found by those who watch, later.
    private static let votersLimit = 4_096

    // Guarded by `monitor`.
    private let monitor = Monitor()
    private var unsent: [PollID: Unsent] = [:]
    private var voterCount = 0  // of all that are unsent
    private var isClosed = false
    private let pollLimit: Int
    private let voterLimit: Int

    /// - Parameters:
    ///   - pollLimit: polls that may wait; what does not fit is read from the database by whoever
    ///     watches it, a second later.
    ///   - voterLimit: voters of all polls that may wait; 16 MiB.
    package init(pollLimit: Int, voterLimit: Int = 1_048_576) {
        self.pollLimit = pollLimit
        self.voterLimit = voterLimit
    }

    /// - Returns: how many did not fit.
    package func add(_ tallies: [Tally]) -> Int {
        update(tallies, \.pollID) { unsent, tally in
            if unsent.tally.map(tally.isNewer) ?? true { unsent.tally = tally }
            return true
        }
    }

    package func add(changed id: PollID) -> Int {
        update([id], \.self) { unsent, _ in
            unsent.isChanged = true
            return true
        }
    }

    package func add(viewers: [(poll: PollID, count: Int)]) -> Int {
        update(viewers, \.poll) { unsent, viewers in
            unsent.viewerCount = viewers.count
            return true
        }
    }

    package func add(counted notice: VoteNotice) -> Int {
        update([notice], \.pollID) { unsent, notice in
            if unsent.counted.count == Self.countedLimit { unsent.counted.removeFirst() }
            unsent.counted.append(notice)
            return true
        }
    }

    package func add(voter: VoterKey, of poll: PollID) -> Int {
        update([voter], { _ in poll }) { unsent, voter in
            guard voterRoom(in: unsent) > 0 else { return false }
            unsent.voters.append(voter)
            voterCount += 1
            return true
        }
    }

    /// Called under `monitor`.
    private func voterRoom(in unsent: Unsent) -> Int {
        min(Self.votersLimit - unsent.voters.count, voterLimit - voterCount)
    }

    /// What could not be sent comes back, unless something newer waits by now; votes do not: by then
    /// they are no news.
    package func putBack(_ failed: [(poll: PollID, unsent: Unsent)]) -> Int {
        update(failed, \.poll) { unsent, failed in
            let earlier = failed.unsent
            if let tally = earlier.tally, unsent.tally.map(tally.isNewer) ?? true {
                unsent.tally = tally
            }
            unsent.isChanged = unsent.isChanged || earlier.isChanged
            unsent.viewerCount = unsent.viewerCount ?? earlier.viewerCount
            let fitting = earlier.voters.prefix(max(0, voterRoom(in: unsent)))
            unsent.voters += fitting
            voterCount += fitting.count
            return fitting.count == earlier.voters.count
        }
    }

    /// Waits for something to send, until `deadline` in monotonic nanoseconds.
    /// - Returns: nothing where the deadline passed; nil where it is closed and empty.
    package func take(until deadline: Int64) -> [(poll: PollID, unsent: Unsent)]? {
        monitor.withLock {
            while unsent.isEmpty, !isClosed, monitor.wait(until: deadline) {}
            if unsent.isEmpty { return isClosed ? nil : [] }
            defer {
                unsent.removeAll(keepingCapacity: unsent.count < 1_024)
                voterCount = 0
            }
            return unsent.map { ($0.key, $0.value) }
        }
    }

    /// Takes no more, and lets `take` end once it is empty.
    func close() {
        monitor.withLock { isClosed = true }
        monitor.signalAll()
    }

    /// Waits until `deadline`, or less where it is closed. - Returns: whether it is.
    func waitForClose(until deadline: Int64) -> Bool {
        monitor.withLock {
            while !isClosed, monitor.wait(until: deadline) {}
            return isClosed
        }
    }

    package var pollCount: Int { monitor.withLock { unsent.count } }

    /// - Parameter body: returns whether there was room for all of an element.
    private func update<Element>(
        _ elements: [Element], _ id: (Element) -> PollID, _ body: (inout Unsent, Element) -> Bool
    ) -> Int {
        var lostCount = 0
        monitor.withLock {
            for element in elements {
                let id = id(element)
                if unsent.count >= pollLimit, unsent[id] == nil {
                    lostCount += 1
                } else if !body(&unsent[id, default: Unsent()], element) {
                    lostCount += 1
                }
            }
        }
        monitor.signal()
        return lostCount
    }
}

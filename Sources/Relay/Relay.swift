package import Identity
package import Polls
package import Telemetry
import Threads

/// What was heard of other gateways in one read.
package struct RelayNews: Sendable {
    package struct Viewers: Sendable {
        package var poll: PollID
        /// The gateway through which they watch.
        package var node: UInt64
        package var count: Int
    }

    /// The newest of each poll.
    package internal(set) var tallies: [PollID: Tally] = [:]
    /// What they are now stands in the database.
    package internal(set) var changed: Set<PollID> = []
    package internal(set) var viewers: [Viewers] = []
    package internal(set) var counted: [VoteNotice] = []
    /// Ballots of `after_vote` polls that were stored.
    package internal(set) var voted: [(poll: PollID, key: BallotKey)] = []

    package var isEmpty: Bool {
        tallies.isEmpty && changed.isEmpty && viewers.isEmpty && counted.isEmpty
            && voted.isEmpty
    }
}

/// This gateway among those on one database, as both threads and what they make of the news know it.
package struct RelayStation: Sendable {
    package let settings: RelaySettings
    package let node: NodeID
    package let seal: RelaySeal
    package let channels: RelayChannels
    var statistics = RelayStatistics()

    package init(settings: RelaySettings, node: NodeID = NodeID(), seal: RelaySeal) {
        self.settings = settings
        self.node = node
        self.seal = seal
        channels = RelayChannels(seal)
    }
}

/// The post room between processes: tells other gateways on the same database what this one has
/// committed, and hears what they have, over Redis pub/sub.
///
/// Nothing depends on it but how soon: every message may be lost, doubled or late. Tallies are
/// absolute and carry a revision; what changed is read from the database, and all that is watched is
/// compared with it once a second anyway. Two threads; nobody who calls ever waits for Redis.
package final class Relay: @unchecked Sendable {
    private let settings: RelaySettings
    private let log: Log
    private let outbox: RelayOutbox
    private let watchlist = Watchlist()
    private let statistics = RelayStatistics()
    private let viewers: @Sendable () -> [(poll: PollID, count: Int)]
    private let heard: @Sendable (RelayNews) -> Void
    private let threads = ThreadGroup()
    private let monitor = Monitor()
    // Guarded by `monitor`.
    private var subscriber: RelaySubscriber?

    /// - Parameters:
    ///   - settings: which Redis, and how patient to be with it.
    ///   - log: is told when Redis is lost and when it is back.
    ///   - viewers: how many watch each poll through this process; from the publisher's thread.
    ///   - heard: from the subscriber's thread.
    package init(
        settings: RelaySettings, log: Log,
        viewers: @escaping @Sendable () -> [(poll: PollID, count: Int)],
        heard: @escaping @Sendable (RelayNews) -> Void
    ) {
        self.settings = settings
        self.log = log
        self.viewers = viewers
        self.heard = heard
        outbox = RelayOutbox(pollLimit: settings.waitingPolls)
    }

    /// Once; before that, news waits.
    /// - Parameter seal: of the database's key.
    package func start(seal: RelaySeal) {
        var station = RelayStation(settings: settings, seal: seal)
        station.statistics = statistics
        let publisher = RelayPublisher(station, outbox: outbox, log: log, viewers: viewers)
        let subscriber = RelaySubscriber(station, watchlist: watchlist, log: log, heard: heard)
        monitor.withLock { self.subscriber = subscriber }
        threads.start(name: "relay out") { publisher.run() }
        threads.start(name: "relay in") { subscriber.run() }
    }

    /// Tries once to send what waits, and ends both threads.
    /// - Parameter deadline: monotonic nanoseconds.
    /// - Returns: whether they have ended; a server that does not answer holds a thread for some
    ///   limits of one connection, which nobody has to wait for.
    package func stop(until deadline: Int64) -> Bool {
        outbox.close()
        monitor.withLock { subscriber }?.stop()
        return threads.join(until: deadline)
    }

    /// What this process has committed. From any thread; does not wait.
    package func publish(_ event: PollEvent) {
        let lostCount =
            switch event {
            case .tallies(let tallies): outbox.add(tallies)
            case .created(let id), .deleted(let id, _): outbox.add(changed: id)
            case .changed(let record, _): outbox.add(changed: record.poll.id)
            }
        statistics.dropped.add(UInt64(lostCount))
    }

    /// A stored ballot of a poll that shows its counts to who has voted. From any thread; does not
    /// wait.
    package func publish(voter: VoterKey, of poll: PollID) {
        statistics.dropped.add(UInt64(outbox.add(voter: voter, of: poll)))
    }

    /// A counted vote, for who listens to all of them. From any thread; does not wait.
    package func publish(_ notice: VoteNotice) {
        statistics.dropped.add(UInt64(outbox.add(counted: notice)))
    }

    /// A loop has the first watcher of a poll. As often as `leave`.
    package func watch(_ id: PollID) { watchlist.watch(id) }

    /// It has lost the last.
    package func leave(_ id: PollID) { watchlist.leave(id) }

    package func write(to text: inout MetricsText) {
        statistics.write(to: &text)
        text.gauge(
            "pollstream_relay_channels", "Polls watched here, a channel each.",
            watchlist.pollCount)
        text.gauge(
            "pollstream_relay_waiting_polls", "Polls whose news waits for Redis.",
            outbox.pollCount)
    }
}

import Glibc
import Identity
import Polls
import Telemetry
import Threads

/// Hears what other gateways publish of the polls that are watched here. On a thread of its own,
/// which does nothing else: a subscriber that reads late is cut off by Redis.
final class RelaySubscriber: @unchecked Sendable {
    private let settings: RelaySettings
    private let watchlist: Watchlist
    private let node: NodeID
    private let seal: RelaySeal
    private let channels: RelayChannels
    private let statistics: RelayStatistics
    private let health: Health
    private let heard: @Sendable (RelayNews) -> Void
    // Of the thread, but for the flag.
    private var backoff: Backoff
    private let monitor = Monitor()
    private var isStopping = false

    /// Channels in one command.
    private static let chunk = 512

    init(
        settings: RelaySettings, watchlist: Watchlist, node: NodeID, seal: RelaySeal,
        statistics: RelayStatistics, log: Log, heard: @escaping @Sendable (RelayNews) -> Void
    ) {
        self.settings = settings
        self.watchlist = watchlist
        self.node = node
        self.seal = seal
        channels = RelayChannels(seal)
        self.statistics = statistics
        self.heard = heard
        health = Health(of: "hearing from Redis", log: log, now: Clock.monotonicNanoseconds)
        backoff = Backoff(base: settings.retryBase, limit: settings.retryLimit)
    }

    func stop() {
        monitor.withLock { isStopping = true }
        monitor.signalAll()
        watchlist.wake()
    }

    func run() {
        while !monitor.withLock({ isStopping }) {
            do throws(RedisConnection.Failure) {
                try listen()
            } catch {
                statistics.isSubscribed.store(false, ordering: .relaxed)
                statistics.failures.add()
                health.lose(reason: error.reason)
                rest()
            }
        }
        statistics.isSubscribed.store(false, ordering: .relaxed)
    }

    private func rest() {
        let deadline = Clock.monotonicNanoseconds() + backoff.next(random: .random(in: 0...1))
        monitor.withLock { while !isStopping, monitor.wait(until: deadline) {} }
    }

    // MARK: One connection

    /// Until it is lost, silent for too long, or nobody wants it any more.
    private func listen() throws(RedisConnection.Failure) {
        let connection = try RedisConnection(settings.target)
        statistics.connects.add()
        try tell(connection, "SUBSCRIBE", [channels.polls, channels.node(node)])
        try tell(connection, "SUBSCRIBE", watchlist.takeAll().map(channels.poll))
        let limit = settings.silenceLimit.nanoseconds
        var news = RelayNews()
        var lastWord = Clock.monotonicNanoseconds()
        var lastAlive = lastWord
        var nextPing = lastWord
        while !monitor.withLock({ isStopping }) {
            let isReadable = poll(connection, forMilliseconds: 250)
            let now = Clock.monotonicNanoseconds()
            if isReadable {
                lastWord = now
                var isAlive = false
                try connection.read { take($0, into: &news, &isAlive) }
                if isAlive { lastAlive = now }
                if let reason = news.refusal { throw RedisConnection.Failure(reason: reason) }
                if !news.isEmpty { heard(news) }
                news = RelayNews()
                health.recover()
                statistics.isSubscribed.store(true, ordering: .relaxed)
                // Not for an answer: who is cut off after each would come back at full speed.
                if isAlive { backoff.reset() }
            }
            let changes = watchlist.takeChanges()
            try tell(connection, "SUBSCRIBE", changes.watched.map(channels.poll))
            try tell(connection, "UNSUBSCRIBE", changes.left.map(channels.poll))
            if now >= nextPing {
                nextPing = now + settings.heartbeat.nanoseconds
                try connection.append([Array("PING".utf8)])
                try connection.flush()
            }
            if now - lastWord > limit { throw RedisConnection.Failure(reason: "it is silent") }
            // While we cannot publish ourselves it tells nothing.
            if !statistics.isPublishing.load(ordering: .relaxed) { lastAlive = now }
            if now - lastAlive > limit {
                throw RedisConnection.Failure(reason: "our own messages do not come back")
            }
        }
    }

    private func tell(_ connection: RedisConnection, _ command: String, _ names: [[UInt8]])
        throws(RedisConnection.Failure)
    {
        var rest = names[...]
        while !rest.isEmpty {
            try connection.append([Array(command.utf8)] + rest.prefix(Self.chunk))
            rest = rest.dropFirst(Self.chunk)
        }
        try connection.flush()
    }

    /// Waits for Redis or for a change of what is watched. - Returns: whether Redis has said
    /// something, or is gone.
    private func poll(_ connection: RedisConnection, forMilliseconds timeout: Int32) -> Bool {
        var descriptors = [
            pollfd(fd: connection.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: watchlist.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        return Glibc.poll(&descriptors, 2, timeout) > 0 && descriptors[0].revents != 0
    }

    // MARK: What it says

    private func take(
        _ reply: RedisConnection.Reply, into news: inout RelayNews, _ isAlive: inout Bool
    ) {
        switch reply {
        case .list(let parts) where parts.count >= 3:
            guard case .bytes(let kind) = parts[0], case .bytes(let channel) = parts[1] else {
                return
            }
            if kind.elementsEqual("message".utf8), case .bytes(let message) = parts[2] {
                take(message, into: &news, &isAlive)
            } else if kind.elementsEqual("subscribe".utf8), let id = channels.pollID(of: channel) {
                // From here on nothing is missed: what came before stands in the database.
                news.changed.insert(id)
            }
        case .error(let reason): news.refusal = reason
        default: break  // the answer to PING
        }
    }

    private func take(_ bytes: [UInt8], into news: inout RelayNews, _ isAlive: inout Bool) {
        guard let (message, sender) = RelayMessage.decode(bytes, with: seal) else {
            return statistics.ignored.add()
        }
        if sender == node {
            if message == .alive { isAlive = true }
            return statistics.echoes.add()
        }
        statistics.received.add()
        switch message {
        case .tally(let tally):
            if news.tallies[tally.pollID].map(tally.isNewer) ?? true {
                news.tallies[tally.pollID] = tally
            }
        case .changed(let id): news.changed.insert(id)
        case .counted(let notice): news.counted.append(notice)
        case .viewers(let id, let count):
            news.viewers.append(RelayNews.Viewers(poll: id, node: sender.rawValue, count: count))
        case .alive: break
        }
    }
}

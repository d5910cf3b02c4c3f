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
    private var seeds = RedisLinks.Seeds()
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
        let links = try RedisLinks(settings.target, seeds: &seeds)
        statistics.connects.add()
        try tell(links, links.subscribe, [channels.polls, channels.node(node)])
        try tell(links, links.subscribe, watchlist.takeAll().map(channels.poll))
        let limit = settings.silenceLimit.nanoseconds
        var news = RelayNews()
        // By node.
        var lastWords: [Int: Int64] = [:]
        var lastAlive = Clock.monotonicNanoseconds()
        var nextPing = lastAlive
        while !monitor.withLock({ isStopping }) {
            let readable = poll(links, forMilliseconds: 250)
            let now = Clock.monotonicNanoseconds()
            if !readable.isEmpty {
                var isAlive = false
                for node in readable {
                    lastWords[node] = now
                    try links.connections[node]?.read { take($0, into: &news, &isAlive) }
                }
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
            try tell(links, links.subscribe, changes.watched.map(channels.poll))
            try tell(links, links.unsubscribe, changes.left.map(channels.poll))
            if now >= nextPing {
                nextPing = now + settings.heartbeat.nanoseconds
                for connection in links.connections.values {
                    try connection.append([Array("PING".utf8)])
                    try connection.flush()
                }
            }
            for node in links.connections.keys where now - (lastWords[node] ?? now) > limit {
                throw RedisConnection.Failure(reason: "it is silent")
            }
            for node in links.connections.keys where lastWords[node] == nil {
                lastWords[node] = now
            }
            statistics.nodes.store(links.connections.count, ordering: .relaxed)
            // While we cannot publish ourselves it tells nothing.
            if !statistics.isPublishing.load(ordering: .relaxed) { lastAlive = now }
            if now - lastAlive > limit {
                throw RedisConnection.Failure(reason: "our own messages do not come back")
            }
        }
    }

    private func tell(_ links: RedisLinks, _ command: [UInt8], _ names: [[UInt8]])
        throws(RedisConnection.Failure)
    {
        var byNode: [Int: [[UInt8]]] = [:]
        for name in names { byNode[try links.node(of: name), default: []].append(name) }
        // In a cluster the channels of one command must be of one slot.
        let chunk = links.isSharded ? 1 : Self.chunk
        for (node, names) in byNode {
            guard let connection = links.connections[node] else { continue }
            var rest = names[...]
            while !rest.isEmpty {
                try connection.append([command] + rest.prefix(chunk))
                rest = rest.dropFirst(chunk)
            }
            try connection.flush()
        }
    }

    /// Waits for Redis or for a change of what is watched. - Returns: the nodes that have said
    /// something, or are gone.
    private func poll(_ links: RedisLinks, forMilliseconds timeout: Int32) -> [Int] {
        let nodes = Array(links.connections.keys)
        var descriptors = nodes.map {
            pollfd(fd: links.connections[$0]!.descriptor, events: Int16(POLLIN), revents: 0)
        }
        descriptors.append(pollfd(fd: watchlist.descriptor, events: Int16(POLLIN), revents: 0))
        guard Glibc.poll(&descriptors, nfds_t(descriptors.count), timeout) > 0 else { return [] }
        return zip(nodes, descriptors).filter { $1.revents != 0 }.map(\.0)
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
            switch String(decoding: kind, as: UTF8.self) {
            case "message", "smessage":
                guard case .bytes(let message) = parts[2] else { return }
                take(message, into: &news, &isAlive)
            case "subscribe", "ssubscribe":
                // From here on nothing is missed: what came before stands in the database.
                if let id = channels.pollID(of: channel) { news.changed.insert(id) }
            case "sunsubscribe":
                // Unasked: the channel's slot has gone to another node.
                if channels.pollID(of: channel).map(watchlist.isWatched) ?? true {
                    news.refusal = "a slot has gone to another node"
                }
            default: break
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
        case .voted(let id, let voters):
            news.voted += voters.map { (id, BallotKey(poll: id, voter: $0)) }
        case .viewers(let id, let count):
            news.viewers.append(RelayNews.Viewers(poll: id, node: sender.rawValue, count: count))
        case .alive: break
        }
    }
}

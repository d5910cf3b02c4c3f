import Glibc
import Polls
import Telemetry
import Threads

/// Hears what other gateways publish of the polls that are watched here. On a thread of its own,
/// which does nothing else: a subscriber that reads late is cut off by Redis.
final class RelaySubscriber: @unchecked Sendable {
    private let station: RelayStation
    private let watchlist: Watchlist
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
        _ station: RelayStation, watchlist: Watchlist, log: Log,
        heard: @escaping @Sendable (RelayNews) -> Void
    ) {
        self.station = station
        statistics = station.statistics
        self.watchlist = watchlist
        self.heard = heard
        health = Health(of: "hearing from Redis", log: log, now: Clock.monotonicNanoseconds)
        backoff = Backoff(base: station.settings.retryBase, limit: station.settings.retryLimit)
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
        let links = try RedisLinks(station.settings.target, seeds: &seeds)
        statistics.connects.add()
        let channels = station.channels
        try tell(links, links.subscribe, [channels.polls, channels.node(station.node)])
        try tell(links, links.subscribe, watchlist.takeAll().map(channels.poll))
        var hearing = RelayHearing(station, at: Clock.monotonicNanoseconds())
        while !monitor.withLock({ isStopping }) {
            let readable = poll(links, forMilliseconds: 250)
            let now = Clock.monotonicNanoseconds()
            if !readable.isEmpty {
                for node in readable {
                    hearing.noteWord(of: node, at: now)
                    try links.connections[node]?.read {
                        hearing.take($0, isWatched: watchlist.isWatched)
                    }
                }
                let (news, isAlive) = try hearing.takeNews(at: now)
                let unixNow = Clock.unixMilliseconds()
                for tally in news.tallies.values {
                    statistics.tallyAges.observe(max(0, unixNow - tally.at) * 1_000_000)
                }
                if !news.isEmpty { heard(news) }
                health.recover()
                statistics.isSubscribed.store(true, ordering: .relaxed)
                // Not for an answer: who is cut off after each would come back at full speed.
                if isAlive { backoff.reset() }
            }
            let changes = watchlist.takeChanges()
            try tell(links, links.subscribe, changes.watched.map(channels.poll))
            try tell(links, links.unsubscribe, changes.left.map(channels.poll))
            if hearing.isPingDue(at: now) {
                for connection in links.connections.values {
                    try connection.append([Array("PING".utf8)])
                    try connection.flush()
                }
            }
            statistics.nodes.store(links.connections.count, ordering: .relaxed)
            try hearing.expectWords(
                of: links.connections.keys,
                isPublishing: statistics.isPublishing.load(ordering: .relaxed), at: now)
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
}

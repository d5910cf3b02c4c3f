package import Polls
import Telemetry
import Threads

/// Publishes what waits, all of it in one write, and takes what came meanwhile: natural batching, as
/// in the ledger. On a thread of its own.
final class RelayPublisher: @unchecked Sendable {
    private let station: RelayStation
    private let outbox: RelayOutbox
    private let statistics: RelayStatistics
    private let health: Health
    private let viewers: @Sendable () -> [(poll: PollID, count: Int)]
    // Of the thread.
    private var links: RedisLinks?
    private var seeds = RedisLinks.Seeds()
    /// Of each node: messages that it has not answered.
    private var unanswered: [Int: Int] = [:]
    private var backoff: Backoff
    private var nextHeartbeat: Int64 = 0
    private var told = ViewerNews()

    init(
        _ station: RelayStation, outbox: RelayOutbox, log: Log,
        viewers: @escaping @Sendable () -> [(poll: PollID, count: Int)]
    ) {
        self.station = station
        statistics = station.statistics
        self.outbox = outbox
        self.viewers = viewers
        health = Health(of: "publishing to Redis", log: log, now: Clock.monotonicNanoseconds)
        backoff = Backoff(base: station.settings.retryBase, limit: station.settings.retryLimit)
    }

    /// Until the outbox is closed, and what it holds is sent or cannot be.
    func run() {
        while true {
            let now = Clock.monotonicNanoseconds()
            if now >= nextHeartbeat {
                nextHeartbeat = now + station.settings.heartbeat.nanoseconds
                let news = told.news(of: viewers())
                statistics.dropped.add(UInt64(outbox.add(viewers: news)))
                attempt([])
            }
            guard let unsent = outbox.take(until: nextHeartbeat) else { break }
            if !unsent.isEmpty { attempt(unsent) }
        }
        statistics.isPublishing.store(false, ordering: .relaxed)
    }

    /// Sends it, or puts it back and waits a while; who stops does not wait.
    private func attempt(_ unsent: [(poll: PollID, unsent: RelayOutbox.Unsent)]) {
        do throws(RedisConnection.Failure) {
            let refusal = try send(unsent)
            backoff.reset()
            if let refusal { health.lose(reason: refusal) } else { health.recover() }
            statistics.isPublishing.store(refusal == nil, ordering: .relaxed)
        } catch {
            links = nil
            statistics.isPublishing.store(false, ordering: .relaxed)
            statistics.failures.add()
            health.lose(reason: error.reason)
            let deadline = Clock.monotonicNanoseconds() + backoff.next(random: .random(in: 0...1))
            if outbox.waitForClose(until: deadline) {
                statistics.dropped.add(UInt64(unsent.count))
            } else {
                statistics.dropped.add(UInt64(outbox.putBack(unsent)))
            }
        }
    }

    /// - Returns: why Redis does not take what is published, where it says so of the sign of life that
    ///   goes first: then our own silence must not be held against what we hear.
    private func send(_ unsent: [(poll: PollID, unsent: RelayOutbox.Unsent)])
        throws(RedisConnection.Failure) -> String?
    {
        let links = try linked()
        unanswered.removeAll(keepingCapacity: true)
        let own = try append(.alive, to: station.channels.node(station.node), on: links)
        var refusal: String?
        for (poll, unsent) in unsent {
            for (channel, message) in unsent.messages(of: poll, station.channels) {
                try append(message, to: channel, on: links)
            }
        }
        for node in unanswered.keys { try links.connections[node]?.flush() }
        for (node, count) in unanswered {
            for number in 0..<count {
                let reason = try takeAnswer(of: links.connections[node])
                if node == own, number == 0 { refusal = reason }
            }
        }
        return refusal
    }

    /// - Returns: why it was refused: without the right, mostly, so that trying again cures nothing.
    private func takeAnswer(of connection: RedisConnection?) throws(RedisConnection.Failure)
        -> String?
    {
        guard case .error(let reason)? = try connection?.reply() else {
            statistics.published.add()
            return nil
        }
        if RedisLinks.isElsewhere(reason) { throw RedisConnection.Failure(reason: reason) }
        statistics.refused.add()
        return reason
    }

    /// - Returns: the node of Redis that it goes to.
    @discardableResult
    private func append(
        _ message: RelayMessage, to channel: [UInt8], on links: RedisLinks
    ) throws(RedisConnection.Failure) -> Int {
        let place = try links.node(of: channel)
        unanswered[place, default: 0] += 1
        try links.connections[place]?.append([
            links.publish, channel, message.encoded(by: station.node, with: station.seal),
        ])
        return place
    }

    private func linked() throws(RedisConnection.Failure) -> RedisLinks {
        if let links { return links }
        let made = try RedisLinks(station.settings.target, seeds: &seeds)
        statistics.connects.add()
        links = made
        return made
    }
}

extension RelayOutbox.Unsent {
    /// In the order in which others are to hear of it, each with its channel.
    package func messages(of poll: PollID, _ channels: RelayChannels)
        -> [(channel: [UInt8], message: RelayMessage)]
    {
        let channel = channels.poll(poll)
        var messages: [([UInt8], RelayMessage)] = []
        // The final tally precedes the close.
        if let tally { messages.append((channel, .tally(tally))) }
        if isChanged { messages.append((channels.polls, .changed(poll))) }
        for notice in counted { messages.append((channels.polls, .counted(notice))) }
        var voters = voters[...]
        while !voters.isEmpty {
            let some = Array(voters.prefix(RelayMessage.voterLimit))
            messages.append((channel, .voted(poll, some)))
            voters = voters.dropFirst(some.count)
        }
        if let viewerCount { messages.append((channel, .viewers(poll, count: viewerCount))) }
        return messages
    }
}

/// Viewer counts as others were last told: again when they change, and before the others' leases on
/// them end.
package struct ViewerNews {
    /// Heartbeats between two words of an unchanged count.
    static let period = 3

    private var told: [PollID: Int] = [:]
    private var turn = 0

    package init() {}

    package mutating func news(of counts: [(poll: PollID, count: Int)])
        -> [(poll: PollID, count: Int)]
    {
        turn = (turn + 1) % Self.period
        let isDue = turn == 0
        var news = counts.filter { isDue || told[$0.poll] != $0.count }
        let now = Dictionary(counts) { $1 }
        news += told.keys.filter { now[$0] == nil }.map { ($0, 0) }
        told = now
        return news
    }
}

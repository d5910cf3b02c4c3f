package import Polls
import Threads

/// What a subscriber makes of what Redis says, from connecting until the connections are lost or
/// given up: the news, and whether anybody is still there. Reads no clock, touches no socket; times
/// are monotonic nanoseconds.
package struct RelayHearing {
    private let station: RelayStation
    /// By node of Redis.
    private var lastWords: [Int: Int64] = [:]
    private var lastAlive: Int64
    private var nextPing: Int64
    private var news = RelayNews()
    private var isAlive = false
    /// Redis does not let us listen.
    private var refusal: String?

    package init(_ station: RelayStation, at now: Int64) {
        self.station = station
        lastAlive = now
        nextPing = now
    }

    // MARK: Hearing

    /// Something came from a node of Redis, or its connection has ended.
    package mutating func noteWord(of node: Int, at now: Int64) { lastWords[node] = now }

    /// Makes of a message what it means.
    /// - Parameters:
    ///   - reply: as it was read.
    ///   - isWatched: whether a poll is watched here by now.
    package mutating func take(_ reply: RedisConnection.Reply, isWatched: (PollID) -> Bool) {
        switch reply {
        case .list(let parts) where parts.count >= 3:
            guard case .bytes(let kind) = parts[0], case .bytes(let channel) = parts[1] else {
                return
            }
            switch String(decoding: kind, as: UTF8.self) {
            case "message", "smessage":
                guard case .bytes(let message) = parts[2] else { return }
                take(message)
            case "subscribe", "ssubscribe":
                // From here on nothing is missed: what came before stands in the database.
                if let id = station.channels.pollID(of: channel) { news.changed.insert(id) }
            case "sunsubscribe":
                // Unasked: the channel's slot has gone to another node.
                if station.channels.pollID(of: channel).map(isWatched) ?? true {
                    refusal = "a slot has gone to another node"
                }
            default: break
            }
        case .error(let reason): refusal = reason
        default: break  // the answer to PING
        }
    }

    private mutating func take(_ bytes: [UInt8]) {
        guard let (message, sender) = RelayMessage.decode(bytes, with: station.seal) else {
            return station.statistics.ignored.add()
        }
        if sender == station.node {
            if message == .alive { isAlive = true }
            return station.statistics.echoes.add()
        }
        station.statistics.received.add()
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

    /// What one read brought, and whether a word of our own was in it.
    /// - Throws: where Redis does not let us listen.
    package mutating func takeNews(at now: Int64) throws(RedisConnection.Failure)
        -> (news: RelayNews, isAlive: Bool)
    {
        if isAlive { lastAlive = now }
        if let refusal { throw RedisConnection.Failure(reason: refusal) }
        defer {
            news = RelayNews()
            isAlive = false
        }
        return (news, isAlive)
    }

    // MARK: Silence

    /// Whether to ask Redis for a sign of life now; true once for each heartbeat.
    package mutating func isPingDue(at now: Int64) -> Bool {
        guard now >= nextPing else { return false }
        nextPing = now + station.settings.heartbeat.nanoseconds
        return true
    }

    /// - Parameters:
    ///   - nodes: of Redis, that we are connected to.
    ///   - isPublishing: while we cannot publish ourselves, our own silence tells nothing.
    ///   - now: monotonic nanoseconds.
    /// - Throws: where a node, or our own voice, has not been heard for too long.
    package mutating func expectWords(
        of nodes: some Collection<Int>, isPublishing: Bool, at now: Int64
    ) throws(RedisConnection.Failure) {
        let silence = station.settings.silenceLimit.nanoseconds
        for node in nodes where now - (lastWords[node] ?? now) > silence {
            throw RedisConnection.Failure(reason: "it is silent")
        }
        for node in nodes where lastWords[node] == nil { lastWords[node] = now }
        if !isPublishing { lastAlive = now }
        if now - lastAlive > silence {
            throw RedisConnection.Failure(reason: "our own messages do not come back")
        }
    }
}

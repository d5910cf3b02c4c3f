import Polls
import Reactor
import Threads

/// Who a limit is counted for: one IPv4 address, or one /64 of IPv6, which is what a single
/// customer gets.
struct ClientAddress: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64

    init(_ peer: PeerAddress) {
        high = peer.high
        low = peer.isIPv4 ? peer.low : 0
    }
}

/// What a rate is counted for: what is done, and by whom. As small for a long name as for a short
/// one, so that the table has a size.
struct RateSubject: Hashable, Sendable {
    enum Action: UInt8 { case polls, votes, messages, handshakes }

    enum Client: Hashable { case address(ClientAddress), voter(VoterKey) }

    let action: Action
    let client: Client
}

/// The rates of all clients of one process. Any thread: a lock for each of 16 shards.
///
/// Bounded at about 65,000 clients. When a shard is full, clients that could send their whole burst
/// by now are forgotten, which changes nothing for them; where that is not enough, those who waited
/// longest.
final class RateLimiter: @unchecked Sendable {
    private static let shardCount = 16
    private static let clientsPerShard = 4096

    // The monitor of a shard guards its clients; the array itself never changes.
    private let shards = (0..<shardCount).map { _ in Shard() }

    private final class Shard {
        let monitor = Monitor()
        var buckets: [RateSubject: TokenBucket] = [:]
    }

    /// Takes one token.
    /// - Parameter now: monotonic nanoseconds.
    /// - Returns: nil where there was one, else nanoseconds until there is.
    func take(for subject: RateSubject, rate: Rate, now: Int64) -> Int64? {
        let shard = shard(of: subject)
        return shard.monitor.withLock {
            if shard.buckets.count >= Self.clientsPerShard, shard.buckets[subject] == nil {
                Self.evict(from: &shard.buckets, now: now)
            }
            return shard.buckets[subject, default: TokenBucket()].take(rate: rate, now: now)
        }
    }

    /// A token that was taken for nothing.
    func giveBack(to subject: RateSubject, rate: Rate) {
        let shard = shard(of: subject)
        shard.monitor.withLock { shard.buckets[subject]?.giveBack(rate: rate) }
    }

    private func shard(of subject: RateSubject) -> Shard {
        var hasher = Hasher()
        hasher.combine(subject)
        return shards[hasher.finalize() & (Self.shardCount - 1)]
    }

    var clientCount: Int {
        shards.reduce(0) { sum, shard in sum + shard.monitor.withLock { shard.buckets.count } }
    }

    private static func evict(from buckets: inout [RateSubject: TokenBucket], now: Int64) {
        buckets = buckets.filter { !$0.value.isFull(at: now) }
        guard buckets.count > clientsPerShard / 2 else { return }
        // Half of them go, so that the sorting is paid for by as many new clients.
        let kept = buckets.sorted { $0.value.fullAt > $1.value.fullAt }.prefix(clientsPerShard / 2)
        buckets = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
    }
}

/// Tokens of one client: a full burst at first, one more each `perMilliseconds / count`. One number
/// instead of a level and its time (the generic cell rate algorithm, ITU-T I.371).
struct TokenBucket {
    /// When it is full again; monotonic nanoseconds.
    private(set) var fullAt = Int64.min

    func isFull(at now: Int64) -> Bool { fullAt <= now }

    /// - Returns: nil where it had a token, else nanoseconds until it has one.
    mutating func take(rate: Rate, now: Int64) -> Int64? {
        let interval = rate.intervalNanoseconds
        let next = max(fullAt, now) + interval
        // A bucket is empty when it takes a whole burst of intervals to fill.
        let wait = next - now - interval * Int64(rate.count)
        if wait > 0 { return wait }
        fullAt = next
        return nil
    }

    mutating func giveBack(rate: Rate) { fullAt -= rate.intervalNanoseconds }
}

extension Rate {
    fileprivate var intervalNanoseconds: Int64 {
        max(1, Int64(perMilliseconds) * 1_000_000 / Int64(count))
    }

    /// For so many clients at once.
    func shared(by count: Int) -> Rate {
        Rate(count: self.count * count, perMilliseconds: perMilliseconds)
    }
}

/// How many live connections each address holds, over all loops. Any thread.
final class AddressCounts: @unchecked Sendable {
    private let monitor = Monitor()
    // Under `monitor`; an address for each live connection at most.
    private var counts = Counts<ClientAddress>()

    func count(of address: ClientAddress) -> Int { monitor.withLock { counts[address] } }

    func add(_ address: ClientAddress) { monitor.withLock { counts.add(address) } }

    func remove(_ address: ClientAddress) { monitor.withLock { counts.remove(address) } }
}

/// How often each is there; what is not there takes no room.
struct Counts<Key: Hashable> {
    private var counts: [Key: Int] = [:]

    subscript(key: Key) -> Int { counts[key, default: 0] }

    mutating func add(_ key: Key) { counts[key, default: 0] += 1 }

    mutating func remove(_ key: Key) {
        let count = self[key]
        counts[key] = count > 1 ? count - 1 : nil
    }
}

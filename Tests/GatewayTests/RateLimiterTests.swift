import Polls
import Reactor
import TestRandom
import Testing

@testable import Gateway

struct RateLimiterTests {
    private let second: Int64 = 1_000_000_000

    @Test(arguments: [1, 2, 5, 60, 1000])
    func `a bucket gives its burst at once and then one per interval`(count: Int) {
        let rate = Rate(count: count, perMilliseconds: 60_000)
        let interval = 60 * second / Int64(count)
        var bucket = TokenBucket()
        for _ in 0..<count { #expect(bucket.take(rate: rate, now: 7) == nil) }
        #expect(bucket.take(rate: rate, now: 7) == interval)
        #expect(bucket.take(rate: rate, now: 7 + interval - 1) == 1)
        #expect(bucket.take(rate: rate, now: 7 + interval) == nil)
        #expect(bucket.take(rate: rate, now: 7 + interval) != nil)
    }

    @Test func `no window of one period ever gets more than twice the count, nor less than it may`()
    {
        var random = SeededGenerator(seed: 20_261_123)
        let rate = Rate(count: 10, perMilliseconds: 1_000)
        var bucket = TokenBucket()
        var now: Int64 = 0
        var taken: [Int64] = []
        for _ in 0..<20_000 {
            now += Int64(random.next() % 200_000_000)
            let before = bucket
            if let wait = bucket.take(rate: rate, now: now) {
                #expect(wait > 0 && wait <= second / 10)
                #expect(bucket.fullAt == before.fullAt, "a refusal costs nothing")
                // Whoever waits as told is let in.
                var patient = bucket
                #expect(patient.take(rate: rate, now: now + wait) == nil)
            } else {
                taken.append(now)
            }
        }
        // A burst of 10 and one every 100 ms: in any second at most 20.
        for (index, start) in taken.enumerated() where index + 20 < taken.count {
            #expect(taken[index + 20] - start >= second)
        }
    }

    @Test func `a clock that jumps locks nobody out for longer than a period`() {
        let rate = Rate(count: 3, perMilliseconds: 1_000)
        var bucket = TokenBucket()
        for _ in 0..<3 { _ = bucket.take(rate: rate, now: 100 * second) }
        #expect(bucket.take(rate: rate, now: 101 * second) == nil)
        #expect(bucket.isFull(at: 200 * second))
    }

    @Test func `clients and what they do are counted apart`() {
        let limiter = RateLimiter()
        let rate = Rate(count: 1, perMilliseconds: 1_000)
        let a = ClientAddress(PeerAddress(high: 1, low: 1))
        let b = ClientAddress(PeerAddress(high: 2, low: 1))
        func takes(_ action: RateSubject.Action, _ client: RateSubject.Client) -> Bool {
            let subject = RateSubject(action: action, client: client)
            return limiter.take(for: subject, rate: rate, now: 0) == nil
        }
        #expect(takes(.votes, .address(a)))
        #expect(!takes(.votes, .address(a)))
        #expect(takes(.votes, .address(b)))
        #expect(takes(.polls, .address(a)))
        #expect(takes(.votes, .voter(VoterKey(high: 1, low: 1))))
        #expect(takes(.votes, .voter(VoterKey(high: 1, low: 2))))
        #expect(!takes(.votes, .voter(VoterKey(high: 1, low: 1))))
        limiter.giveBack(
            to: RateSubject(action: .votes, client: .voter(VoterKey(high: 1, low: 1))), rate: rate)
        #expect(takes(.votes, .voter(VoterKey(high: 1, low: 1))))
        #expect(!takes(.votes, .voter(VoterKey(high: 1, low: 1))))
    }

    @Test(arguments: [1, 3, 1_000_000])
    func `a shared rate gives as many bursts as there are clients`(share: Int) {
        let one = Rate(count: 2, perMilliseconds: 1_000)
        let all = one.shared(by: share)
        #expect(all.count == 2 * share)
        #expect(all.perMilliseconds == 1_000)
        var bucket = TokenBucket()
        var count = 0
        while bucket.take(rate: all, now: 0) == nil, count < 10_000 { count += 1 }
        #expect(count == min(2 * share, 10_000))
    }

    @Test func `one network of IPv6 is one client and one address of IPv4 is one`() {
        func address(_ high: UInt64, _ low: UInt64) -> ClientAddress {
            ClientAddress(PeerAddress(high: high, low: low))
        }
        #expect(address(0x2001_0db8, 1) == address(0x2001_0db8, 2))
        #expect(address(0x2001_0db8, 1) != address(0x2001_0db9, 1))
        #expect(address(0, 0xffff_0a00_0001) == address(0, 0xffff_0a00_0001))
        #expect(address(0, 0xffff_0a00_0001) != address(0, 0xffff_0a00_0002))
    }

    @Test func `a crowd of clients does not grow the table`() {
        let limiter = RateLimiter()
        let rate = Rate(count: 1, perMilliseconds: 1_000)
        var now: Int64 = 0
        for high in 1...200_000 as ClosedRange<UInt64> {
            now += 5_000  // a second for all of them
            let address = ClientAddress(PeerAddress(high: high, low: 0))
            let stranger = RateSubject(action: .votes, client: .address(address))
            #expect(limiter.take(for: stranger, rate: rate, now: now) == nil)
        }
        #expect(limiter.clientCount <= 65_536)
    }

    @Test func `connections of an address are counted until they go`() {
        let counts = AddressCounts()
        let address = ClientAddress(PeerAddress(high: 5, low: 0))
        counts.remove(address)
        #expect(counts.count(of: address) == 0)
        for expected in 1...3 {
            counts.add(address)
            #expect(counts.count(of: address) == expected)
        }
        for expected in [2, 1, 0, 0] {
            counts.remove(address)
            #expect(counts.count(of: address) == expected)
        }
    }
}

import CLoad
import Testing

struct StormTests {
    private struct Pairs: Equatable {
        var microseconds: [UInt64: UInt64] = [:]
        var missing: UInt64 = 0
    }

    private func match(
        _ arrivals: [(ns: UInt64, revision: UInt64, viewer: UInt32)], viewers: Int,
        _ receipts: [(intended: UInt64, revision: UInt64)], polls: [UInt32] = [],
        of pollCount: Int = 1
    ) throws -> Pairs {
        let arrivals = arrivals.map {
            ld_arrival(ns: $0.ns, revision: $0.revision, viewer: $0.viewer)
        }
        let receipts = receipts.enumerated().map { index, receipt in
            ld_receipt(
                intended_ns: receipt.intended, answered_ns: 0, revision: receipt.revision,
                poll: polls.isEmpty ? 0 : polls[index])
        }
        var matched: OpaquePointer?
        let result = ld_storm_match(
            &matched, arrivals, arrivals.count, viewers, receipts, receipts.count, pollCount)
        #expect(Int(result) == Int(LD_OK))
        let times = try #require(matched)
        defer { ld_screen_times_free(times) }
        var pairs = Pairs(missing: ld_screen_times_missing(times))
        var cursor = 0
        var (duration, count): (UInt64, UInt64) = (0, 0)
        while ld_screen_times_next(times, &cursor, &duration, &count) {
            pairs.microseconds[duration / 1000] = count
        }
        return pairs
    }

    @Test func `a vote is on a screen with the first revision that holds it`() throws {
        // Two votes at one revision, one at the next; the second viewer skips the first revision.
        let pairs = try match(
            [(50_000, 10, 0), (60_000, 11, 1), (90_000, 11, 0)], viewers: 2,
            [(40_000, 11), (10_000, 10), (20_000, 10)])
        #expect(pairs == Pairs(microseconds: [40: 2, 30: 1, 50: 2, 20: 1]))
    }

    @Test func `a vote is for the viewers of its poll alone`() throws {
        // Viewers 0 and 2 watch poll 0, viewers 1 and 3 poll 1; poll 2 is nobody's vote.
        let pairs = try match(
            [(50_000, 7, 0), (60_000, 7, 1), (70_000, 9, 3), (80_000, 7, 2)], viewers: 4,
            [(10_000, 7), (20_000, 8), (30_000, 7)], polls: [0, 1, 1], of: 2)
        // Poll 0: 40 and 70 µs. Poll 1: the vote at 30 µs after 30 and 40, that at 20 µs after 50, and never.
        #expect(pairs == Pairs(microseconds: [40: 2, 70: 1, 30: 1, 50: 1], missing: 1))
    }

    @Test func `what never came is missing, not fast`() throws {
        #expect(
            try match([(5_000, 9, 0)], viewers: 2, [(1_000, 10), (1_000, 9)])
                == Pairs(microseconds: [4: 1], missing: 3))
        #expect(try match([], viewers: 3, []) == Pairs())
    }

    @Test(arguments: [0, 1, 999, 2_047, 2_048, 2_049, 100_000, 34_567_890, 3_600_000_000])
    func `a duration keeps three digits`(microseconds: UInt64) throws {
        let pairs = try match([(microseconds * 1000, 1, 0)], viewers: 1, [(0, 1)])
        let told = try #require(pairs.microseconds.keys.first)
        #expect(told >= microseconds)
        #expect(told - microseconds <= microseconds / 1000)
    }
}

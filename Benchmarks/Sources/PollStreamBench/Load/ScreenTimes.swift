import CLoad

/// Votes and viewers under way together, and when each vote was on each screen; see storm.h.
enum ScreenTimes {
    /// Room for what is logged, so that nothing is allocated while it runs.
    static func log(
        _ subscribers: borrowing Subscribers, arrivals: Int, _ voters: borrowing Voters,
        receipts: Int
    ) throws {
        guard Int(ld_subscribers_log(subscribers.handle, arrivals)) == Int(LD_OK),
            Int(ld_voters_log(voters.handle, receipts)) == Int(LD_OK)
        else { throw Failure.load("no memory for \(arrivals) arrivals") }
    }

    static func run(
        _ subscribers: borrowing Subscribers, passers: borrowing Subscribers,
        _ voters: borrowing Voters, seconds: Double
    ) throws {
        let result = ld_storm_run(
            subscribers.handle, passers.handle, voters.handle, ld_now_ns() + nanoseconds(seconds))
        var reason = ld_subscribers_reason(subscribers.handle)
        if reason?.pointee == 0 { reason = ld_subscribers_reason(passers.handle) }
        try Failure.check(
            result, "votes and viewers",
            reason?.pointee == 0 ? ld_voters_reason(voters.handle) : reason)
    }

    struct Pairs {
        /// From the intended time of each vote until each viewer held it.
        var times = Distribution()
        /// From the intended time of each vote until its answer.
        var answers = Distribution()
        var missing: UInt64 = 0
        /// Newer tallies that came to viewers.
        var arrivals = 0
        var receipts = 0
        /// What the logs had no room for.
        var lost: UInt64 = 0
    }

    /// Of the logged answers.
    static func newestRevision(_ voters: borrowing Voters) -> UInt64 {
        var (count, lost): (Int, UInt64) = (0, 0)
        let receipts = ld_voters_receipts(voters.handle, &count, &lost)
        return UnsafeBufferPointer(start: receipts, count: count).map(\.revision).max() ?? 0
    }

    /// - Parameters:
    ///   - views: viewers times the polls of each.
    static func pairs(
        _ subscribers: borrowing Subscribers, _ voters: borrowing Voters, views: Int, polls: Int
    ) throws -> Pairs {
        var pairs = Pairs()
        var (lostArrivals, lostReceipts): (UInt64, UInt64) = (0, 0)
        let arrivals = ld_subscribers_arrivals(subscribers.handle, &pairs.arrivals, &lostArrivals)
        let receipts = ld_voters_receipts(voters.handle, &pairs.receipts, &lostReceipts)
        pairs.lost = lostArrivals + lostReceipts
        for receipt in UnsafeBufferPointer(start: receipts, count: pairs.receipts) {
            pairs.answers.record(receipt.answered_ns - receipt.intended_ns)
        }
        var matched: OpaquePointer?
        guard
            Int(
                ld_storm_match(
                    &matched, arrivals, pairs.arrivals, views, receipts, pairs.receipts, polls))
                == Int(LD_OK), let matched
        else { throw Failure.load("no memory to pair votes and viewers") }
        defer { ld_screen_times_free(matched) }
        pairs.missing = ld_screen_times_missing(matched)
        var cursor = 0
        var (duration, count): (UInt64, UInt64) = (0, 0)
        while ld_screen_times_next(matched, &cursor, &duration, &count) {
            pairs.times.record(duration, count: count)
        }
        return pairs
    }
}

import Polls

/// The order in which a store writes a batch: poll by poll, voter by voter, each voter's ballots as
/// they arrived. Ascending keys touch each page of the index once, and two gateways that lock
/// polls in one order cannot deadlock.
struct SortedBatch {
    struct Entry {
        let key: BallotKey
        /// The ballot's position in the batch as it was given.
        let index: Int
    }

    let entries: [Entry]

    init(_ ballots: [Ballot]) { self.init(ballots, ballots.indices) }

    /// - Parameter indices: of those that take part, ascending.
    init(_ ballots: [Ballot], _ indices: some Collection<Int>) {
        entries =
            indices
            .map { Entry(key: ballots[$0].key, index: $0) }
            .sorted { a, b in a.key != b.key ? a.key < b.key : a.index < b.index }
    }

    /// Calls `body` with the entries of each poll.
    func forEachPoll<E>(_ body: (ArraySlice<Entry>) throws(E) -> Void) throws(E) {
        try Self.forEachRun(of: entries[...], { $0.high >> 16 == $1.high >> 16 }, body)
    }

    /// Calls `body` with those of each voter among the `entries` of one poll.
    static func forEachVoter<E>(
        of entries: ArraySlice<Entry>, _ body: (ArraySlice<Entry>) throws(E) -> Void
    ) throws(E) {
        try forEachRun(of: entries, ==, body)
    }

    private static func forEachRun<E>(
        of entries: ArraySlice<Entry>, _ belongTogether: (BallotKey, BallotKey) -> Bool,
        _ body: (ArraySlice<Entry>) throws(E) -> Void
    ) throws(E) {
        var start = entries.startIndex
        while start < entries.endIndex {
            var end = start + 1
            while end < entries.endIndex, belongTogether(entries[start].key, entries[end].key) {
                end += 1
            }
            try body(entries[start..<end])
            start = end
        }
    }
}

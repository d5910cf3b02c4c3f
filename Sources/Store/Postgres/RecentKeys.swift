import Polls

/// Keys that were stored not long ago, as good as a table of fixed size can tell: a repeat of one of
/// them would make a whole COPY fail. A key forgotten, or taken for another, costs time and nothing
/// else. 8 MiB once the first key is there.
struct RecentKeys {
    /// Hashes of keys, eight places for those whose lower bits are the same, the newest first: one
    /// line of the cache.
    private var rows: [Row] = []
    private typealias Row = SIMD8<UInt64>
    private static let rowCount = 1 << 17

    mutating func insert(_ key: BallotKey) {
        if rows.isEmpty { rows = [Row](repeating: .zero, count: Self.rowCount) }
        let hash = Self.hash(key)
        let index = Self.row(of: key)
        var row = rows[index]
        if any(row .== hash) { return }
        for place in (1..<8).reversed() { row[place] = row[place - 1] }
        row[0] = hash
        rows[index] = row
    }

    func contains(_ key: BallotKey) -> Bool {
        !rows.isEmpty && any(rows[Self.row(of: key)] .== Self.hash(key))
    }

    /// The voter's part of a key is a hash already.
    private static func row(of key: BallotKey) -> Int { Int(key.low & UInt64(rowCount - 1)) }

    private static func hash(_ key: BallotKey) -> UInt64 {
        key.low ^ (key.high &* 0x9E37_79B9_7F4A_7C15)
    }
}

import Polls

/// Keys that were stored not long ago, as good as a table of fixed size can tell: a repeat of one of
/// them would make a whole COPY fail. A key forgotten, or taken for another, costs time and nothing
/// else. 8 MiB once the first key is there.
struct RecentKeys {
    /// Each key's hash at the place that its lower bits name; the newer one stays.
    private var places: [UInt64] = []
    private static let placeCount = 1 << 20

    mutating func insert(_ key: BallotKey) {
        if places.isEmpty { places = [UInt64](repeating: 0, count: Self.placeCount) }
        places[Self.place(of: key)] = Self.hash(key)
    }

    func contains(_ key: BallotKey) -> Bool {
        !places.isEmpty && places[Self.place(of: key)] == Self.hash(key)
    }

    /// The voter's part of a key is a hash already.
    private static func place(of key: BallotKey) -> Int { Int(key.low & UInt64(placeCount - 1)) }

    private static func hash(_ key: BallotKey) -> UInt64 {
        key.low ^ (key.high &* 0x9E37_79B9_7F4A_7C15)
    }
}

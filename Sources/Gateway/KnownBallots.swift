import Polls

/// Ballots that are known to be stored, newest first to be remembered: two generations, so that the
/// bound holds and nothing has to be sorted. Only ever says yes truthfully.
struct KnownBallots {
    private var young: Set<BallotKey> = []
    private var old: Set<BallotKey> = []
    private let generationCount: Int

    init(limit: Int) { generationCount = max(1, limit / 2) }

    var count: Int { young.count + old.count }

    func contains(_ key: BallotKey) -> Bool { young.contains(key) || old.contains(key) }

    mutating func insert(_ key: BallotKey) {
        if young.count >= generationCount {
            old = young
            young = []
        }
        young.insert(key)
    }
}

import CSQLite
import Polls

/// How values of the domain stand in the tables.
extension SQLiteStatement {
    /// Binds the 16 bytes of a key, big endian, so that the index sorts by poll.
    func bind(_ parameter: Int32, _ key: BallotKey) {
        withUnsafeBytes(of: (key.high.bigEndian, key.low.bigEndian)) { bind(parameter, blob: $0) }
    }

    func key(_ column: Int32) throws(SQLiteFailure) -> BallotKey {
        let bytes = bytes(column)
        guard bytes.count == 16 else { throw Self.damaged("a ballot's key") }
        return BallotKey(
            high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
            low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    }

    /// - Parameter revision: and the others: their columns. `at`: of the read, Unix milliseconds.
    func tally(of pollID: PollID, revision: Int32, ballots: Int32, counts: Int32, at: Int64)
        throws(SQLiteFailure) -> Tally
    {
        guard let counts = CountsText.decode(bytes(counts)), counts.count <= Choices.optionLimit
        else { throw Self.damaged("the counts of poll \(pollID.rawValue)") }
        return Tally(
            pollID: pollID, revision: integer(revision), ballots: integer(ballots), counts: counts,
            at: at)
    }

    func pollID(_ column: Int32) throws(SQLiteFailure) -> PollID {
        guard let id = PollID(integer(column)) else { throw Self.damaged("a poll's id") }
        return id
    }

    static func damaged(_ what: String) -> SQLiteFailure {
        .failed(code: SQLITE_CORRUPT, reason: "\(what) cannot be read: the database is damaged")
    }
}

/// The keys that a poll's ballots can have: one range of the index.
extension PollID {
    /// The one before them all.
    var keyBelow: BallotKey { BallotKey(high: (UInt64(rawValue) << 16) - 1, low: .max) }
    var lowestKey: BallotKey { BallotKey(high: UInt64(rawValue) << 16, low: 0) }
    var highestKey: BallotKey { BallotKey(high: UInt64(rawValue) << 16 | 0xFFFF, low: .max) }
}

/// One voter's choice on the way in: admitted, not yet durable.
package struct Ballot: Sendable, Equatable {
    package var key: BallotKey
    package var pollID: PollID
    /// Random; tells our own earlier attempt to commit from a client's retry.
    package var id: Int64
    package var choices: Choices
    /// The poll's edition it was admitted for.
    package var edition: Int32
    /// The poll lets voters change their choice.
    package var allowsChange: Bool
    /// What the export shows: the voter's name as sent, or the subject of a token; may be empty.
    package var voter: String
    /// When its last byte was read, Unix milliseconds.
    package var castAt: Int64
    /// Who waits for the outcome; nil where it has been answered already (`respond-async`).
    package var ticket: Ticket?

    package init(
        key: BallotKey, pollID: PollID, id: Int64, choices: Choices, edition: Int32,
        allowsChange: Bool, voter: String, castAt: Int64, ticket: Ticket?
    ) {
        self.key = key
        self.pollID = pollID
        self.id = id
        self.choices = choices
        self.edition = edition
        self.allowsChange = allowsChange
        self.voter = voter
        self.castAt = castAt
        self.ticket = ticket
    }
}

/// A keyed hash of a voter's identity, 10 bytes: every kind of identity costs the same.
package struct VoterKey: Hashable, Sendable {
    /// The first two bytes and the other eight, big endian.
    package let high: UInt16
    package let low: UInt64

    package init(high: UInt16, low: UInt64) {
        self.high = high
        self.low = low
    }
}

/// The one-ballot rule: poll id (6 bytes, big endian), then the voter's key. Sorts by poll.
package struct BallotKey: Hashable, Sendable, Comparable {
    package let high: UInt64
    package let low: UInt64

    package init(poll: PollID, voter: VoterKey) {
        high = UInt64(poll.rawValue) << 16 | UInt64(voter.high)
        low = voter.low
    }

    /// From the 16 bytes as stored.
    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    // Both inlinable: a store sorts and compares them by the thousand, across the module's border.
    @inlinable package static func == (a: BallotKey, b: BallotKey) -> Bool {
        a.high == b.high && a.low == b.low
    }

    @inlinable package static func < (a: BallotKey, b: BallotKey) -> Bool {
        a.high != b.high ? a.high < b.high : a.low < b.low
    }
}

/// Which options a ballot marks: a bit per position.
package struct Choices: Hashable, Sendable {
    package static let optionLimit = 63

    package var mask: UInt64

    package init(mask: UInt64) { self.mask = mask }

    package var count: Int { mask.nonzeroBitCount }

    package func contains(_ position: Int) -> Bool { mask >> UInt64(position) & 1 == 1 }

    /// Adds `weight` for each marked option.
    package func add(_ weight: Int64, to counts: inout [Int64]) {
        var rest = mask
        while rest != 0 {
            counts[rest.trailingZeroBitCount] += weight
            rest &= rest - 1
        }
    }
}

/// Names what waits for an answer, and on which loop. Only the gateway that made it reads it.
package struct Ticket: Hashable, Sendable {
    package let loop: UInt32
    package let number: UInt32

    package init(loop: UInt32, number: UInt32) {
        self.loop = loop
        self.number = number
    }
}

/// What became of a ballot. Only the first three mean that it is stored.
package enum BallotOutcome: Sendable, Equatable {
    case counted(revision: Int64)
    /// The same choice was stored before: a retry, which counts once.
    case repeated(revision: Int64)
    /// It replaced the voter's earlier choice.
    case changed(revision: Int64)
    /// The voter has another choice stored, and the poll forbids changes.
    case alreadyVoted
    case rejected(Rejection)
    /// Not stored: the queue is full, or it waited past the commit limit.
    case overloaded
    /// Not stored: no storage.
    case storageUnavailable
    /// An attempt to commit did not end in time; sending it again is safe.
    case commitUnknown

    package var isStored: Bool {
        switch self {
        case .counted, .repeated, .changed: true
        default: false
        }
    }
}

/// A ballot's outcome on its way back.
package struct SettledBallot: Sendable, Equatable {
    package var ticket: Ticket?
    package var pollID: PollID
    /// Lets the front door find the voter's own sockets.
    package var key: BallotKey
    package var outcome: BallotOutcome

    package init(ticket: Ticket?, pollID: PollID, key: BallotKey, outcome: BallotOutcome) {
        self.ticket = ticket
        self.pollID = pollID
        self.key = key
        self.outcome = outcome
    }
}

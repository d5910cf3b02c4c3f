import Polls

/// A batch as PostgreSQL gets it: one row per voter, poll by poll, and what each would add to its
/// poll's tally were it the voter's first.
///
/// Of a voter's ballots the first is sent, or the last where the poll allows changes; the rest are
/// answered from what became of that one.
struct VoterGroups {
    struct Group {
        /// Position in the batch of the ballot that is sent.
        let sent: Int
        /// Positions of all, in the order of arrival; empty where there is but one.
        let several: [Int]

        /// Of all.
        var indices: [Int] { several.isEmpty ? [sent] : several }
    }

    struct PollPart {
        let id: PollID
        /// Of `groups`.
        var range: Range<Int>
        var edition: Int32
        /// Positions that its ballots mark.
        var mask: UInt64 = 0
        var ballots: Int64 = 0
        /// By position, as far as `mask` reaches.
        var counts: [Int64] = []
    }

    private(set) var groups: [Group] = []
    private(set) var polls: [PollPart] = []

    /// - Parameter indices: of those `ballots` that take part.
    init(_ ballots: [Ballot], _ indices: [Int]) {
        let batch = SortedBatch(ballots, indices)
        groups.reserveCapacity(indices.count)
        batch.forEachPoll { entries in
            let first = ballots[entries[entries.startIndex].index]
            var part = PollPart(
                id: first.pollID, range: groups.count..<groups.count, edition: first.edition)
            SortedBatch.forEachVoter(of: entries) { entries in
                var sent = entries[entries.startIndex].index
                if entries.count > 1, ballots[sent].allowsChange {
                    sent = entries[entries.endIndex - 1].index
                }
                let several = entries.count > 1 ? entries.map(\.index) : []
                groups.append(Group(sent: sent, several: several))
                part.add(ballots[sent])
            }
            part.range = part.range.lowerBound..<groups.count
            polls.append(part)
        }
    }
}

extension VoterGroups.PollPart {
    fileprivate mutating func add(_ ballot: Ballot) {
        mask |= ballot.choices.mask
        ballots += 1
        let width = UInt64.bitWidth - ballot.choices.mask.leadingZeroBitCount
        while counts.count < width { counts.append(0) }
        ballot.choices.add(1, to: &counts)
    }
}

import Identity
import Polls

/// How much of a poll somebody sees.
enum PollView: Int, CaseIterable {
    case everything
    /// Counts are null, and the revision is that of the last change that everybody may see.
    case hidden
}

/// What a subscriber has proved about itself for one poll. Ascending: a later one sees no less.
///
/// Who is in which audience never depends on the poll's settings, so a change of `results` moves
/// nobody: it changes what an audience is shown.
enum Audience: Int, CaseIterable, Comparable {
    case everybody
    /// Has a ballot in this poll.
    case voters
    /// Showed the host key.
    case hosts

    static func < (a: Audience, b: Audience) -> Bool { a.rawValue < b.rawValue }
}

/// Who looks: what a caller proved about itself.
struct Viewer {
    var identity: VoterIdentity?
    /// Until when it may vote, Unix seconds; nil: for ever. What it may see, it has seen.
    var expiresAt: Int64?
    /// SHA-256 of the host key that was presented.
    var presentedHostKeyHash: [UInt8]?

    init(
        identity: VoterIdentity? = nil, expiresAt: Int64? = nil,
        presentedHostKeyHash: [UInt8]? = nil
    ) {
        self.identity = identity
        self.expiresAt = expiresAt
        self.presentedHostKeyHash = presentedHostKeyHash
    }
}

extension Poll {
    func view(for audience: Audience) -> PollView {
        switch audience {
        case .hosts: .everything
        case .voters: showsCountsToEverybody || results == .afterVote ? .everything : .hidden
        case .everybody: showsCountsToEverybody ? .everything : .hidden
        }
    }

    /// Hidden ballots are not even counted by the revision.
    func revision(in view: PollView) -> Int64 {
        view == .everything ? tally.revision : shownRevision
    }

    /// Whether the revision in `view` tells which words go with it. A gateway may hear of a tally
    /// before it hears of a change that came earlier, or that the tally was read behind, and then
    /// shows the tally's revision with the words before the change; but not for as long as this.
    func isNamedByRevision(in view: PollView) -> Bool {
        // Or no words were before them: the first revision of a poll is the time of its creation. That
        // nobody has voted says nothing: a commit that is tried again tells of such a poll too.
        if view == .hidden || shownRevision == createdAt { return true }
        return tally.revision - shownRevision >= Self.settlingMilliseconds
    }

    /// Revisions count milliseconds, as far as they do not count ballots.
    private static let settlingMilliseconds: Int64 = 10_000

    /// What a voter is told as the revision of its stored ballot.
    func revisionShownToVoter(_ revision: Int64) -> Int64 {
        view(for: .voters) == .everything ? revision : shownRevision
    }
}

import Polls
import Store

/// Sees every commit, and remembers what was true after each: what anybody is shown has to be one of
/// these truths.
final class Witness: @unchecked Sendable {
    /// A voter's ballot from one commit to the next that changed it.
    struct Stored {
        let choices: Choices
        /// What its request called it; the voter's name where it has no other identity.
        let label: String
        /// Of the commit.
        let revision: Int64
    }

    /// A poll as each commit left it.
    struct Life {
        /// As each revision found it.
        var history: [Int64: Poll]
        var latest: Poll
        var hostKeyHash: [UInt8]
        var createdAt: Int64
        var deletedAt: Int64?
        /// In the order of commits, the last one stands.
        var ballots: [BallotKey: [Stored]] = [:]
        /// Of everybody whose ballot was ever stored.
        var labels: Set<String> = []
        /// Monotonic nanoseconds of each change of state.
        var closedAt: Int64?
    }

    private let world: World
    private let database: any Database
    private(set) var lives: [PollID: Life] = [:]

    init(_ world: World, _ database: any Database) {
        self.world = world
        self.database = database
    }

    /// Looks at the polls that a commit may have changed.
    func look(at ids: some Sequence<PollID>) {
        for id in Set(ids).sorted() { look(at: id) }
    }

    private func look(at id: PollID) {
        guard let record = database.record(id) else {
            if lives[id]?.deletedAt == nil { lives[id]?.deletedAt = world.now }
            return
        }
        let poll = record.poll
        guard var life = lives.removeValue(forKey: id) else {
            lives[id] = Life(
                history: [poll.tally.revision: poll], latest: poll,
                hostKeyHash: record.hostKeyHash, createdAt: world.now)
            return
        }
        defer { lives[id] = life }
        let before = life.latest
        if poll.tally.revision == before.tally.revision {
            var same = before
            same.tally.at = poll.tally.at
            world.expect(same == poll, "poll \(id.rawValue) changed within revision")
            return
        }
        world.expect(
            poll.tally.revision > before.tally.revision, "the revision of \(id.rawValue) fell")
        world.expect(
            before.closedAt == nil, "closed poll \(id.rawValue) changed: \(before.tally.counts)")
        world.expect(
            poll.tally.ballots >= before.tally.ballots, "ballots of \(id.rawValue) became fewer")
        life.history[poll.tally.revision] = poll
        life.latest = poll
        if poll.closedAt != nil { life.closedAt = world.now }
        take(database.ballots(of: id), of: poll, into: &life)
    }

    private func take(_ rows: [StoredBallot], of poll: Poll, into life: inout Life) {
        var counts = [Int64](repeating: 0, count: poll.options.count)
        for row in rows {
            if row.choices.mask >> UInt64(counts.count) == 0 { row.choices.add(1, to: &counts) }
            life.labels.insert(row.voter)
            let known = life.ballots[row.key] ?? []
            if known.last?.choices != row.choices || known.last?.label != row.voter {
                world.expect(
                    known.isEmpty || poll.allowsChange, "a ballot of \(poll.id.rawValue) changed")
                world.expect(
                    !known.contains { $0.label == row.voter }, "\(row.voter) is applied twice")
                life.ballots[row.key, default: []].append(
                    Stored(
                        choices: row.choices, label: row.voter, revision: poll.tally.revision))
            }
        }
        world.expect(rows.count == life.ballots.count, "a ballot of \(poll.id.rawValue) is gone")
        world.expect(
            poll.tally.ballots == Int64(rows.count) && poll.tally.counts == counts,
            "tally of \(poll.id.rawValue) is \(poll.tally.counts), its ballots are \(counts)")
    }
}

import Identity
import Polls

/// What a viewer may be shown, and what it has to be shown in the end.
extension Viewer {
    /// Counts are those of their revision, and this viewer may see them.
    func check(_ said: Said, of life: Witness.Life) {
        let id = life.latest.id.rawValue
        if said.state == "closed" {
            world.expect(
                life.latest.closedAt != nil && said.counts == life.latest.tally.counts,
                "viewer \(number): \(id) is closed with \(said.counts ?? [])")
        }
        guard let counts = said.counts else {
            return world.expect(
                life.history.values.contains { $0.shownRevision == said.revision },
                "viewer \(number): hidden revision \(said.revision) tells of ballots")
        }
        guard let truth = life.history[said.revision] else {
            return world.violate("viewer \(number): \(id) never had revision \(said.revision)")
        }
        world.expect(
            truth.tally.counts == counts && truth.tally.ballots == said.total,
            "viewer \(number): \(counts) at \(said.revision) of \(id), not \(truth.tally.counts)")
        world.expect(
            site.maySee(truth, of: life, as: audience(in: life)),
            "viewer \(number) sees hidden counts of \(id)")
    }

    private func audience(in life: Witness.Life) -> Site.Audience {
        if isHost, life.latest.id == polls[0].id { return .host }
        if let identity {
            let voter = site.hasher.voterKey(for: .token(identity))
            if life.ballots[BallotKey(poll: life.latest.id, voter: voter)] != nil { return .voter }
        }
        return .everybody
    }

    // MARK: At the end

    /// Shows what stands in the database.
    func expectConverged() {
        if polls.isEmpty { return }
        for poll in polls {
            guard let life = site.witness.lives[poll.id] else { continue }
            if life.deletedAt != nil {
                world.expect(
                    seen[poll.id] == nil || gone.contains(poll.id) || seen[poll.id]?.since != nil,
                    "viewer \(number) still shows \(poll.id.rawValue), which is deleted")
                continue
            }
            guard wire != nil, world.now - connectedAt > 1_000_000_000 else {
                world.violate("viewer \(number) cannot connect")
                continue
            }
            expect(seen[poll.id], shows: life)
        }
    }

    private func expect(_ seen: Seen?, shows life: Witness.Life) {
        let (latest, id) = (life.latest, life.latest.id.rawValue)
        guard let seen else { return world.violate("viewer \(number) was told nothing of \(id)") }
        let audience = audience(in: life)
        let isShown = site.shows(latest, to: audience)
        world.expect(
            seen.counts == (isShown ? latest.tally.counts : nil),
            "viewer \(number) shows \(seen.counts.map { "\($0)" } ?? "nothing") of \(id) at "
                + "\(seen.revision), not \(latest.tally.counts) at \(latest.tally.revision)")
        world.expect(
            seen.state == site.stateName(latest),
            "viewer \(number) shows \(id) as \(seen.state), not \(site.stateName(latest))")
        world.expect(seen.title == latest.title, "viewer \(number) shows an old title of \(id)")
    }
}

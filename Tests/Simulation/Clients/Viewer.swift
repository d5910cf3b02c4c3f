import Identity
import Polls

/// Somebody who watches polls, and believes nothing that was not true once.
final class Viewer: @unchecked Sendable {
    private enum Way { case path, subscribe, events }

    /// What it was told of a poll on this connection.
    private struct Seen {
        var revision: Int64 = .min
        var total: Int64?
        var counts: [Int64]?
        var state = ""
        var title = ""
        var since: Int64?
    }

    private let site: Site
    private let number: Int
    private let way: Way
    private var polls: [Hosted]
    private let identity: VoterToken.ID?
    private let isHost: Bool
    private let isSlow: Bool
    private var wire: Wire?
    private var seen: [PollID: Seen] = [:]
    /// Deleted, or never there for this connection.
    private var gone: Set<PollID> = []
    private var connectedAt: Int64 = 0
    /// Whether its ballot was counted on the gateway that it watches through now.
    private var hasVotedHere = false
    private var world: World { site.world }

    init(_ site: Site, _ number: Int, polls: [Hosted], voters: [Voter]) {
        let world = site.world
        self.site = site
        self.number = number
        way = world.chance.pick([.path, .path, .subscribe, .events])
        self.polls = way == .subscribe ? polls : [world.chance.pick(polls)]
        isHost = world.chance.happens(0.15)
        identity = world.chance.happens(0.5) ? world.chance.pick(voters).token : nil
        isSlow = world.chance.happens(0.25)
        connect()
        if !isSlow, world.chance.happens(0.5) { scheduleLeave() }
    }

    // MARK: Coming and going

    private func connect() {
        if polls.isEmpty { return }
        guard let wire = site.connect() else { return connectLater() }
        self.wire = wire
        connectedAt = world.now
        let known = seen
        seen = [:]
        gone = []
        if isSlow, site.isStormy {
            wire.readDelay = 100...1_500
            wire.readBytes = 300
        }
        wire.heard = { [unowned self] in hear($0) }
        let id = polls[0].id
        var fields: [String] = []
        if let token = isHost ? polls[0].hostKey : identity.map(site.signer.mint) {
            fields.append("Authorization: Bearer \(token)")
        }
        let since = known[id].flatMap { world.chance.happens(0.7) ? $0.revision : nil }
        if let since, way != .subscribe {
            seen[id] = known[id]
            seen[id]?.since = since
        }
        let query = since.map { "?since=\($0)" } ?? ""
        switch way {
        case .path: wire.get("/ws/polls/\(id.rawValue)/\(query)", fields, upgrades: true)
        case .subscribe: wire.get("/ws/", fields, upgrades: true)
        case .events:
            if let since { fields.append("Last-Event-ID: \(since)") }
            wire.get("/polls/\(id.rawValue)/events/", fields)
        }
    }

    private func connectLater() {
        wire = nil
        world.after(world.chance.milliseconds(5...200)) { [self] in connect() }
    }

    private func scheduleLeave() {
        world.after(world.chance.milliseconds(50...2_000)) { [self] in
            guard site.isStormy else { return }
            if let wire {
                wire.close()
                connectLater()
            }
            scheduleLeave()
        }
    }

    /// The storm is over: who was slow reads again.
    func recover() {
        wire?.readDelay = 0.02...2
        wire?.readBytes = 65_536
    }

    // MARK: Hearing

    private func hear(_ event: Wire.Event) {
        switch event {
        case .began:
            guard way == .subscribe else { return }
            let ids = polls.map { "\($0.id.rawValue)" }.joined(separator: ",")
            wire?.send(text: #"{"type":"subscribe","poll_ids":[\#(ids)]}"#)
        case .message(let bytes):
            guard let said = Said(bytes) else {
                return world.violate("viewer \(number) got \(String(decoding: bytes, as: UTF8.self))")
            }
            world.count("deliveries")
            hear(said)
        case .response(let status, _, _):
            if status == 404 { giveUp(polls[0].id) }
            leave()
        case .closed(let code):
            if code == 4404 { giveUp(polls[0].id) }
            leave()
        }
    }

    private func leave() {
        wire?.close()
        connectLater()
    }

    /// It was told that there is no such poll.
    private func giveUp(_ id: PollID) {
        world.expect(
            site.mayBeUnknown(id), "viewer \(number): poll \(id.rawValue) is said to be unknown")
        polls.removeAll { $0.id == id && site.witness.lives[id]?.deletedAt != nil }
    }

    private func hear(_ said: Said) {
        switch said.type {
        case "snapshot": takeSnapshot(said)
        case "tally": takeTally(said)
        case "state": takeState(said)
        case "error":
            if said.code == "poll_not_found", let id = said.poll {
                giveUp(id)
            }
            leave()
        default: break
        }
    }

    private func life(of said: Said) -> Witness.Life? {
        guard let id = said.poll, polls.contains(where: { $0.id == id }),
            let life = site.witness.lives[id]
        else {
            world.violate("viewer \(number) hears of a poll that it does not watch: \(said)")
            return nil
        }
        world.expect(!gone.contains(id), "viewer \(number): \(said.type) after the deletion")
        return life
    }

    private func takeSnapshot(_ said: Said) {
        guard let life = life(of: said), let id = said.poll else { return }
        // Who came back with a revision of its own gets what this gateway has.
        let isFirst = self.seen[id]?.since != nil
        var seen = isFirst ? Seen() : self.seen[id] ?? Seen()
        tell(said)
        world.expect(
            said.revision >= seen.revision || said.counts == nil,
            "viewer \(number): snapshot \(said.revision) after \(seen.revision)")
        world.expect(
            seen.state != "closed" || said.state == "closed", "viewer \(number): reopened \(id)")
        check(said, of: life)
        seen.revision = said.revision
        seen.counts = said.counts
        seen.total = said.total
        seen.state = said.state
        seen.title = said.title
        self.seen[id] = seen
    }

    private func takeTally(_ said: Said) {
        guard let life = life(of: said), let id = said.poll else { return }
        tell(said)
        self.seen[id]?.since = nil
        guard var seen = self.seen[id] else {
            return world.violate("viewer \(number): a tally before the snapshot of \(id.rawValue)")
        }
        // The final tally comes with the close, also to who has it.
        let isAgain = said.revision == seen.revision && said.counts == seen.counts
        world.expect(
            said.revision > seen.revision || isAgain,
            "viewer \(number): tally \(said.revision) after \(seen.revision)")
        world.expect(
            said.total ?? 0 >= seen.total ?? 0, "viewer \(number): the total of \(id.rawValue) fell")
        world.expect(seen.state != "closed", "viewer \(number): a tally after the close")
        check(said, of: life)
        seen.revision = said.revision
        seen.counts = said.counts
        seen.total = said.total
        self.seen[id] = seen
    }

    private func takeState(_ said: Said) {
        guard let life = life(of: said), let id = said.poll else { return }
        tell(said)
        if said.state == "deleted" {
            world.expect(life.deletedAt != nil, "viewer \(number): \(id.rawValue) is not deleted")
            gone.insert(id)
            return
        }
        self.seen[id]?.since = nil
        guard var seen = self.seen[id] else {
            return world.violate("viewer \(number): a state before the snapshot of \(id.rawValue)")
        }
        world.expect(
            said.revision >= seen.revision,
            "viewer \(number): state \(said.revision) after \(seen.revision)")
        world.expect(
            seen.state != "closed" || said.state == "closed",
            "viewer \(number): \(said.state) after closed")
        seen.revision = said.revision
        seen.state = said.state
        self.seen[id] = seen
        if said.state == "closed" {
            world.expect(life.latest.closedAt != nil, "viewer \(number): closed too early")
            world.expect(
                seen.counts == life.latest.tally.counts,
                "viewer \(number): closed with \(seen.counts ?? []), not "
                    + "\(life.latest.tally.counts)")
        }
    }

    private func tell(_ said: Said) {
        world.tell(
            "viewer \(number): \(said.type) of \(said.poll?.rawValue ?? 0) at \(said.revision) "
                + "\(said.state) \(said.counts.map { "\($0)" } ?? "hidden")")
    }

    /// Counts are those of their revision, and this viewer may see them.
    private func check(_ said: Said, of life: Witness.Life) {
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
        if isShown, seen.counts == nil, audience == .voter, !site.shows(latest, to: .everybody) {
            // Of a ballot that was stored through another gateway one hears where nothing is lost.
            return world.count("voters left in the dark")
        }
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

import Identity
import Polls

/// Somebody who watches polls, and believes nothing that was not true once.
final class Viewer: @unchecked Sendable {
    private enum Way { case path, subscribe, events }

    /// What it was told of a poll on this connection.
    struct Seen {
        var revision: Int64 = .min
        var total: Int64?
        var counts: [Int64]?
        var state = ""
        var title = ""
        var since: Int64?
    }

    let site: Site
    let number: Int
    private let way: Way
    private(set) var polls: [Hosted]
    let identity: VoterToken.ID?
    let isHost: Bool
    private let isSlow: Bool
    private(set) var wire: Wire?
    private(set) var seen: [PollID: Seen] = [:]
    /// Deleted, or never there for this connection.
    private(set) var gone: Set<PollID> = []
    private(set) var connectedAt: Int64 = 0
    var world: World { site.world }

    init(_ site: Site, _ number: Int, polls: [Hosted], voters: [Voter]) {
        let world = site.world
        self.site = site
        self.number = number
        way = world.chance.pick([.path, .path, .subscribe, .events])
        self.polls = way == .subscribe ? polls : [world.chance.pick(polls)]
        isHost = world.chance.happens(0.15)
        let hasVoted = world.chance.happens(0.5) ? world.chance.pick(voters).token : nil
        // One field of authorization has room for one of both.
        identity = isHost ? nil : hasVoted
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
        world.tell("viewer \(number): \(way) to \(id.rawValue)\(query)")
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
                let text = String(decoding: bytes, as: UTF8.self)
                return world.violate("viewer \(number) got \(text)")
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
        let cameBack = self.seen[id]?.since != nil
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
            said.total ?? 0 >= seen.total ?? 0, "viewer \(number): the total of \(id.rawValue) fell"
        )
        // Who comes back with the revision of the close may meet a gateway that has the final tally,
        // read behind a commit, and hears of the close later: then both are told once more.
        world.expect(
            seen.state != "closed" || isAgain && cameBack,
            "viewer \(number): a tally after the close")
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
}

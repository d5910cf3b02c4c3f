import JSON
import Polls

/// A poll and the key of its host.
struct Hosted {
    let id: PollID
    let hostKey: String
}

/// Somebody who makes a poll and then cannot leave it alone.
final class Host: @unchecked Sendable {
    private let site: Site
    private let number: Int
    private(set) var poll: Hosted?
    private var wire: Wire?
    private var then: (Int, Said) -> Void = { _, _ in }
    private var failed: () -> Void = {}
    private var world: World { site.world }

    init(_ site: Site, _ number: Int) {
        self.site = site
        self.number = number
        create()
    }

    // MARK: What hosts do

    private func create() {
        let plan = site.plan
        var json = JSONWriter()
        json.beginObject()
        json.member("title", "poll \(number)")
        json.name("options")
        json.beginArray()
        for option in 0..<world.chance.number(in: 2...4) { json.value("option \(option)") }
        json.endArray()
        json.member("results", world.chance.pick(["live", "live", "after_vote", "after_close"]))
        json.member("change_vote", world.chance.happens(0.4))
        let storm = plan.stormNanoseconds / 1_000_000
        if abs(plan.skew) < 10_000 {
            let start = world.unixMilliseconds + plan.skew
            if world.chance.happens(0.25) {
                json.member("starts_at", unixMilliseconds: start + storm / 4)
            }
            if world.chance.happens(0.3) {
                let end = Double(storm) * .random(in: 0.4...1.1, using: &world.chance)
                json.member("end_time", unixMilliseconds: start + Int64(end) + 500)
            }
        }
        json.endObject()
        ask("POST", "/polls/", body: String(decoding: json.bytes, as: UTF8.self)) {
            [unowned self] status, said in
            guard status == 201, let id = said.poll else { return createLater() }
            poll = Hosted(id: id, hostKey: said.hostKey)
            meddleLater()
        } orElse: { [unowned self] in
            createLater()
        }
    }

    private func createLater() {
        world.after(world.chance.milliseconds(5...100)) { [self] in create() }
    }

    private func meddleLater() {
        let storm = Double(site.plan.stormNanoseconds) / 1_000_000
        world.after(world.chance.milliseconds(storm / 8...storm)) { [self] in
            if site.isStormy { meddle() }
        }
    }

    private func meddle() {
        guard let poll else { return }
        let path = "/polls/\(poll.id.rawValue)/"
        switch world.chance.number(in: 0...9) {
        case 0...2: ask("PATCH", path, body: #"{"title":"title \#(world.now)"}"#)
        case 3: ask("PATCH", path, body: #"{"options":["\#(world.now)","b","c"]}"#)
        case 4:
            let results = world.chance.pick(["live", "after_vote", "after_close"])
            ask("PATCH", path, body: #"{"results":"\#(results)"}"#)
        case 5: ask("POST", path + "open/", body: "")
        case 6...8: ask("POST", path + "close/", body: "")
        default: ask("DELETE", path, body: "")
        }
    }

    // MARK: Asking

    private func ask(_ method: String, _ path: String, body: String) {
        ask(method, path, body: body) { [unowned self] status, said in
            check(method, path, status, said)
            meddleLater()
        } orElse: { [unowned self] in
            meddleLater()
        }
    }

    private func ask(
        _ method: String, _ path: String, body: String, then: @escaping (Int, Said) -> Void,
        orElse: @escaping () -> Void
    ) {
        guard let wire = site.connect() else { return orElse() }
        self.wire = wire
        let fields = poll.map { ["Authorization: Bearer \($0.hostKey)"] } ?? []
        world.tell("host \(number): \(method) \(path) \(body)")
        var isAnswered = false
        wire.heard = { [unowned self, unowned wire] event in
            guard wire === self.wire, !isAnswered else { return }
            switch event {
            case .response(let status, _, let body):
                isAnswered = true
                world.tell("host \(number): \(status)")
                wire.close()
                then(status, Said(body) ?? Said())
            case .closed:
                isAnswered = true
                orElse()
            default: break
            }
        }
        wire.send(method, path, fields, body: body)
        world.after(world.chance.milliseconds(500...6_000)) { [self, weak wire] in
            guard let wire, wire === self.wire, !isAnswered else { return }
            isAnswered = true
            wire.close()
            orElse()
        }
    }

    /// What a host is told was done is done.
    private func check(_ method: String, _ path: String, _ status: Int, _ said: Said) {
        guard let poll, let life = site.witness.lives[poll.id] else { return }
        switch (method, status) {
        case ("DELETE", 204):
            world.expect(life.deletedAt != nil, "host \(number): deleted, and still there")
        case ("POST", 200) where path.hasSuffix("close/"):
            world.expect(
                said.state == "closed" && life.latest.closedAt != nil
                    && said.counts == life.latest.tally.counts,
                "host \(number): closed with \(said.counts ?? []), "
                    + "not \(life.latest.tally.counts)")
        case (_, 200...299), (_, 404), (_, 409), (_, 422), (_, 503), (_, 504): break
        default: world.violate("host \(number): \(method) \(path) gave \(status)")
        }
    }
}

extension Said {
    init() {}
}

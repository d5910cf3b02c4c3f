import Identity
import Polls

/// Somebody who votes until it knows that its ballot counts, as stubbornly as an app on a bad network,
/// and holds the gateways to every word.
final class Voter: @unchecked Sendable {
    enum Fate: Equatable {
        case pending
        /// No answer came, and none can.
        case unknown
        /// It was told that nobody knows.
        case toldUnknown
        case counted
        case refused(String)
    }

    private enum Temper {
        case steady
        /// With two devices in its hands: another choice at once, through another gateway.
        case fickle
        /// Waits to be told, and where nobody knows makes another choice, through another gateway.
        case trusting
    }

    struct Request {
        let poll: PollID
        let mask: UInt64
        let label: String
        let sentAt: Int64
        var answeredAt: Int64?
        var fate = Fate.pending
    }

    let site: Site
    let number: Int
    let token: VoterToken.ID
    private let usesWebSocket: Bool
    /// Nanoseconds until it asks again.
    private let patience: Int64
    private let temper: Temper
    let poll: Hosted
    private var wire: Wire?
    private var isReady = false
    private(set) var requests: [Request] = []
    private var attemptsLeft: Int
    private var mask: UInt64 = 0
    /// Of the ballot of which it was told that nobody knows.
    private var givenUpMask: UInt64 = 0
    var world: World { site.world }

    init(_ site: Site, _ number: Int, polls: [Hosted]) {
        let world = site.world
        self.site = site
        self.number = number
        token = VoterToken.ID(high: 1, low: UInt64(number))
        usesWebSocket = world.chance.happens(0.5)
        temper = world.chance.pick([.steady, .steady, .fickle, .trusting])
        let patience: ClosedRange<Double> =
            switch temper {
            case .steady: world.chance.pick([20...100, 500...3_000])
            case .fickle: 4...30
            case .trusting: 3_000...6_000
            }
        self.patience = world.chance.milliseconds(patience)
        poll = world.chance.pick(polls)
        attemptsLeft = world.chance.number(in: temper == .trusting ? 3...6 : 1...6)
        let within = Double(site.plan.stormNanoseconds) / 1_000_000
        world.after(world.chance.milliseconds(0...within)) { [self] in choose() }
    }

    var key: BallotKey {
        BallotKey(poll: poll.id, voter: site.hasher.voterKey(for: .token(token)))
    }

    // MARK: Asking

    private func choose() {
        if attemptsLeft == 0 { return }
        let options = site.witness.lives[poll.id]?.latest.options ?? []
        if options.isEmpty { return }
        if mask == 0 || world.chance.happens(temper == .fickle ? 0.8 : 0.3) {
            let masks = options.indices.map { UInt64(1) << UInt64($0) }
            mask = world.chance.pick(masks.filter { $0 != givenUpMask })
        }
        connect()
    }

    private func connect() {
        if wire != nil {
            if isReady || !usesWebSocket { send() }
            return
        }
        isReady = false
        guard let wire = site.connect() else { return chooseLater() }
        self.wire = wire
        wire.heard = { [unowned self, unowned wire] event in
            if wire === self.wire { hear(event) }
        }
        if usesWebSocket {
            wire.get(
                "/ws/", ["Authorization: Bearer \(site.signer.mint(token))"], upgrades: true)
        } else {
            send()
        }
    }

    private func chooseLater() {
        world.after(world.chance.milliseconds(temper == .steady ? 1...400 : 1...20)) { [self] in
            choose()
        }
    }

    private func send() {
        guard let life = site.witness.lives[poll.id], attemptsLeft > 0 else { return }
        attemptsLeft -= 1
        let optionIDs = life.latest.options.indices
            .filter { mask >> UInt64($0) & 1 == 1 }.map { life.latest.options[$0].id }
        if optionIDs.isEmpty {
            mask = 0
            return chooseLater()
        }
        let label = "v\(number).\(requests.count)"
        let index = requests.count
        requests.append(
            Request(poll: poll.id, mask: mask, label: label, sentAt: world.now))
        world.count("ballots sent")
        world.tell("voter \(number): \(label) for \(poll.id.rawValue), mask \(mask)")
        let members =
            #""poll_id":\#(poll.id.rawValue),"option_ids":[\#(optionIDs[0])],"voter":"\#(label)""#
        if usesWebSocket {
            wire?.send(text: #"{"type":"vote","ref":"\#(index)",\#(members)}"#)
        } else {
            wire?.send(
                "POST", "/votes/", ["Authorization: Bearer \(site.signer.mint(token))"],
                body: "{\(members)}")
        }
        world.after(patience) { [self] in
            guard requests[index].fate == .pending else { return }
            // Some hang up, others ask again and hear both answers.
            if !usesWebSocket || temper == .fickle || world.chance.happens(0.5) { hangUp() }
            chooseLater()
        }
    }

    private func hangUp() {
        wire?.close()
        wire = nil
        for index in requests.indices where requests[index].fate == .pending {
            requests[index].fate = .unknown
        }
    }

    // MARK: Hearing

    private func hear(_ event: Wire.Event) {
        switch event {
        case .began:
            isReady = true
            send()
        case .response(let status, _, let body):
            // Those of one connection are answered in their order.
            guard let said = Said(body),
                let index = requests.firstIndex(where: { $0.fate == .pending })
            else { return world.violate("voter \(number) got \(status) for nothing") }
            answer(index, said)
        case .message(let bytes):
            guard let said = Said(bytes), said.type == "ack" || said.type == "error",
                let index = Int(said.reference), requests.indices.contains(index)
            else { return world.violate("voter \(number) got a strange message") }
            answer(index, said)
        case .closed:
            wire = nil
            isReady = false
            for index in requests.indices where requests[index].fate == .pending {
                requests[index].fate = .unknown
            }
            chooseLater()
        }
    }

    private func answer(_ index: Int, _ said: Said) {
        let request = requests[index]
        world.tell("voter \(number): \(request.label) is \(said.status)\(said.code)")
        guard request.fate == .pending else {
            return world.violate("voter \(number): \(request.label) is answered twice")
        }
        requests[index].answeredAt = world.now
        if said.status == "counted" || said.status == "changed" {
            requests[index].fate = .counted
            world.count("ballots counted")
            check(request, said)
            // Some have doubts, and some change their mind.
            if world.chance.happens(0.4) { chooseLater() }
        } else if said.code == "commit_unknown" {
            requests[index].fate = .toldUnknown
            if temper == .trusting {
                givenUpMask = mask
                mask = 0
                hangUp()
            }
            chooseLater()
        } else {
            requests[index].fate = .refused(said.code)
            world.count("ballots refused")
            checkRefusal(request, said.code)
            chooseLater()
        }
    }
}

// Whole sessions with a gateway: bytes go through the loop's sockets, the router, bodies, messages, boards and
// streams; the rooms behind are played in memory, at once. Whatever comes, each vote counts once, nobody
// is answered 500, and when the clients have gone nothing of them is left.
//
// The first byte of an input says what the rest is:
//
//     0   the bytes of a connection
//     1   messages for a WebSocket, one a line
//     2   requests: a method, a path and a body in JSON on each line
import CDrivenLoop
import Glibc

@testable import Gateway
@testable import Identity
@testable import Polls
@testable import Reactor

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzGateway(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = UnsafeBufferPointer(start: start, count: count)
    guard let kind = input.first else { return 0 }
    let rest = Array(input.dropFirst())
    let session = Session()
    switch kind % 3 {
    case 0: session.send(rest)
    case 1: session.send(messages: rest)
    default: session.send(requests: rest)
    }
    session.end()
    return 0
}

/// Says which law is broken, in an optimised build too.
private func require(_ holds: Bool, _ law: StaticString) {
    if !holds { fatalError("broken: \(law)") }
}

/// A gateway with one loop, a client, and somebody who watches poll 1 meanwhile.
private final class Session {
    private let rooms = Rooms()
    private let budget = ConnectionBudget(connectionLimit: 8)
    private let gateway: Gateway
    private let loop: Loop
    private var now: UInt64 = 1_000_000_000
    private let client: CInt
    private let watcher: CInt
    private var isOpen = true

    private static let secrets = Secrets(
        hasher: IdentityHasher(key: Array(repeating: 1, count: 32)),
        tokens: VoterTokenSigner(keys: [Array(repeating: 2, count: 32)]),
        seal: RelaySeal(key: Array(repeating: 3, count: 32)))

    init() {
        var settings = GatewaySettings()
        settings.servesEcho = true
        gateway = Gateway(
            loopIndex: 0, settings: settings, doors: rooms.doors,
            shared: Shared(secrets: Self.secrets))
        var loopSettings = LoopSettings()
        loopSettings.headerTimeoutMilliseconds = 1_000
        loopSettings.bodyTimeoutMilliseconds = 1_000
        loopSettings.idleTimeoutMilliseconds = 1_000
        loopSettings.closeTimeoutMilliseconds = 1_000
        loopSettings.pingPeriodMilliseconds = 1_000
        guard let loop = try? Loop(settings: loopSettings, budget: budget, handler: gateway) else {
            fatalError("no loop")
        }
        self.loop = loop
        rooms.inbox = gateway.attach(to: loop)
        ps_driven_begin(loop.handle, now, Rooms.unixMilliseconds)
        client = ps_driven_connect(loop.handle)
        watcher = ps_driven_connect(loop.handle)
        require(client >= 0 && watcher >= 0, "no room for two")
        put(Array(handshake(to: "/ws/polls/1/").utf8), into: watcher)
        settle()
    }

    // MARK: What is sent

    func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count, isOpen {
            sent += put(Array(bytes[sent...].prefix(1_500)), into: client)
            settle()
        }
    }

    func send(messages: [UInt8]) {
        send(Array(handshake(to: "/ws/").utf8))
        for line in messages.split(separator: UInt8(ascii: "\n")) where isOpen { send(frame(line)) }
    }

    func send(requests: [UInt8]) {
        for line in requests.split(separator: UInt8(ascii: "\n")) where isOpen {
            let words = line.split(separator: UInt8(ascii: " "), maxSplits: 2)
            guard words.count >= 2 else { continue }
            let body = words.count > 2 ? Array(words[2]) : []
            var request = Array(words[0]) + [UInt8(ascii: " ")] + words[1]
            request += " HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n".utf8
            request += "Authorization: Bearer \(Rooms.hostKey)\r\n".utf8
            request += "Content-Length: \(body.count)\r\n\r\n".utf8
            send(request + body)
        }
    }

    private func handshake(to path: String) -> String {
        "GET \(path) HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    }

    /// Text, masked with zeros.
    private func frame(_ text: ArraySlice<UInt8>) -> [UInt8] {
        let length: [UInt8] =
            text.count < 126
            ? [0x80 | UInt8(text.count)] : [0xfe, UInt8(text.count >> 8), UInt8(text.count & 0xff)]
        return [0x81] + length + [0, 0, 0, 0] + text
    }

    // MARK: Turns

    @discardableResult
    private func put(_ bytes: [UInt8], into descriptor: CInt) -> Int {
        let flags = CInt(MSG_NOSIGNAL | MSG_DONTWAIT)
        return max(0, Glibc.send(descriptor, bytes, bytes.count, flags))
    }

    /// Turns until nothing is left to do, and takes what comes back.
    private func settle() {
        var goesOn = true
        var turns = 0
        while goesOn {
            turns += 1
            require(turns < 10_000, "it never comes to an end")
            goesOn = ps_driven_turn(loop.handle, now, Rooms.unixMilliseconds, false)
            for descriptor in [client, watcher] { goesOn = take(from: descriptor) || goesOn }
            goesOn = rooms.takeIsAsked() || goesOn
        }
    }

    private func take(from descriptor: CInt) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 16_384)
        var hasAny = false
        while true {
            let count = recv(descriptor, &buffer, buffer.count, CInt(MSG_DONTWAIT))
            if count == 0, descriptor == client { isOpen = false }
            if count <= 0 { return hasAny }
            hasAny = true
            let head = buffer[..<count].prefix(16)
            require(
                !head.starts(with: "HTTP/1.1 500".utf8), "something is answered 500")
        }
    }

    private func pass(seconds: Int) {
        for _ in 0..<seconds * 10 {
            now += 100_000_000
            _ = ps_driven_turn(loop.handle, now, Rooms.unixMilliseconds, true)
        }
    }

    // MARK: The end

    func end() {
        close(client)
        close(watcher)
        for _ in 0..<60 where budget.connectionCount > 0 { pass(seconds: 1) }
        // Boards that nobody watches are let go within two visits.
        pass(seconds: 4)
        require(budget.connectionCount == 0, "a connection is left")
        require(gateway.boards.watched.isEmpty, "a board is watched by nobody")
        require(gateway.exports.isEmpty, "an export is left")
        require(gateway.pendingSubscriptions.isEmpty, "a subscription is left")
        require(gateway.countedAddresses.isEmpty, "an address is still counted")
        require(gateway.owedSnapshots.isEmpty, "snapshots are owed to nobody")
        rooms.checkTallies()
        // The loop is told of the front door, and the rooms of the loop's inbox.
        rooms.inbox = nil
    }
}

/// The ledger and the catalogue, which answer in the loop's next turn.
private final class Rooms: @unchecked Sendable {
    static let unixMilliseconds: Int64 = 1_800_000_000_000
    static let hostKey = HostKey.prefix + "a-key-of-this-test"
    private static let hostKeyHash = Array(hostKey.utf8).withUnsafeBytes { HostKey.hash(of: $0) }

    var inbox: Inbox<LoopMessage>?
    private var records: [PollID: PollRecord] = [:]
    private var ballots: [BallotKey: Choices] = [:]
    private var nextID: Int64 = 1
    private var isAsked = false

    init() {
        add(.live)
        add(.afterVote) { $0.allowsChange = true }
        add(.afterClose) { ($0.kind, $0.maxChoices) = (.multiple, 2) }
        add(.live) { $0.closedAt = Self.unixMilliseconds }
        add(.live) { ($0.isOpened, $0.startsAt) = (false, Self.unixMilliseconds + 1_000) }
    }

    var doors: Doors {
        Doors(
            enqueue: { self.take($0) },
            ask: { request, ticket in
                self.tell(.answered(CatalogueReply(ticket: ticket, answer: self.answer(request))))
                return true
            },
            isReady: { true }, metrics: { [] }, drain: { _ in })
    }

    /// Whether anything was told since the last call.
    func takeIsAsked() -> Bool {
        defer { isAsked = false }
        return isAsked
    }

    private func tell(_ message: LoopMessage) {
        isAsked = true
        inbox?.append(message)
    }

    @discardableResult
    private func add(
        _ results: ResultsVisibility, _ edit: (inout Poll) -> Void = { _ in }
    ) -> PollRecord {
        let id = PollID(nextID)!
        nextID += 1
        var poll = Poll(
            id: id, title: "Which?", description: "", creatorName: "",
            options: (0..<3).map { PollOption(id: id.rawValue * 10 + $0, text: "option \($0)") },
            kind: .single, maxChoices: 1, results: results, allowsChange: false,
            createdAt: Self.unixMilliseconds, startsAt: nil, endTime: nil, closedAt: nil,
            joinCode: "CODE\(id.rawValue)", edition: 1, isOpened: true,
            shownRevision: Self.unixMilliseconds,
            tally: Tally(
                pollID: id, revision: Self.unixMilliseconds, ballots: 0, counts: [0, 0, 0], at: 0))
        edit(&poll)
        let record = PollRecord(poll: poll, hostKeyHash: Self.hostKeyHash)
        records[id] = record
        return record
    }

    // MARK: The catalogue

    private func answer(_ request: CatalogueRequest) -> CatalogueAnswer {
        switch request {
        case .create:
            // However many are asked for, a session is over soon.
            guard records.count < 100 else { return .refused(.overloaded) }
            let record = add(.live)
            tell(.happened(.created(record.poll.id)))
            return .created(record, hostKey: Self.hostKey)
        case .read(let ids): return .polls(ids.map { records[$0] })
        case .refresh: return .refreshed(RefreshedPolls(changed: [], gone: []))
        case .find(let code):
            let found = records.values.first { $0.poll.joinCode == code }
            return found.map(CatalogueAnswer.poll) ?? .refused(.pollNotFound)
        case .list(_, let page, let size):
            let all = records.values.map(\.poll).sorted { $0.id > $1.id }
            return .page(
                PollPage(
                    polls: Array(all.dropFirst((page - 1) * size).prefix(size)), count: all.count))
        case .change(let id, _): return change(id, .edited) { $0.title += "!" }
        case .open(let id): return change(id, .opened) { $0.isOpened = true }
        case .close(let id): return change(id, .closed) { $0.closedAt = Self.unixMilliseconds }
        case .delete(let id):
            guard let record = records.removeValue(forKey: id) else {
                return .refused(.pollNotFound)
            }
            ballots = ballots.filter { $0.key.poll != id }
            tell(.happened(.deleted(id, revision: record.poll.tally.revision + 1)))
            return .deleted
        case .hasBallot(let key): return .ballot(exists: ballots[key] != nil)
        case .choices(let keys): return .choices(keys.map { ballots[$0] })
        case .audit(let id):
            guard let tally = records[id]?.poll.tally else { return .refused(.pollNotFound) }
            return .audit(Audit(tally: tally, ballots: tally.ballots, counts: tally.counts))
        case .ballots(let id, let key, let limit):
            let stored = ballots.keys.filter { $0.poll == id && key.map($0.isAfter) ?? true }
                .sorted()
            return .ballots(
                stored.prefix(limit).map {
                    StoredBallot(
                        key: $0, choices: ballots[$0]!, voter: "=\($0.low)",
                        castAt: 1_790_000_000_000)
                })
        }
    }

    private func change(
        _ id: PollID, _ transition: PollTransition, _ edit: (inout Poll) -> Void
    ) -> CatalogueAnswer {
        guard var record = records[id] else { return .refused(.pollNotFound) }
        if record.poll.state == .closed { return .refused(.pollClosed) }
        edit(&record.poll)
        record.poll.tally.revision += 1
        record.poll.shownRevision = record.poll.tally.revision
        records[id] = record
        tell(.happened(.changed(record, transition)))
        return .poll(record)
    }

    // MARK: The ledger

    private func take(_ ballot: Ballot) -> Bool {
        let outcome = store(ballot)
        tell(
            .settled([
                SettledBallot(
                    ticket: ballot.ticket, pollID: ballot.pollID, key: ballot.key, outcome: outcome)
            ]))
        if case .counted = outcome { tellTally(of: ballot.pollID) }
        if case .changed = outcome { tellTally(of: ballot.pollID) }
        return true
    }

    private func tellTally(of id: PollID) {
        if let tally = records[id]?.poll.tally { tell(.happened(.tallies([tally]))) }
    }

    private func store(_ ballot: Ballot) -> BallotOutcome {
        guard var poll = records[ballot.pollID]?.poll else { return .rejected(.pollNotFound) }
        require(ballot.choices.count <= poll.maxChoices, "more is marked than the poll allows")
        require(
            (0..<64).allSatisfy { $0 < poll.options.count || !ballot.choices.contains($0) },
            "an option is marked that is not there")
        if poll.state != .open { return .rejected(.pollClosed) }
        let earlier = ballots[ballot.key]
        if earlier == ballot.choices { return .repeated(revision: poll.tally.revision) }
        if earlier != nil, !poll.allowsChange { return .alreadyVoted }
        earlier?.add(-1, to: &poll.tally.counts)
        ballot.choices.add(1, to: &poll.tally.counts)
        poll.tally.ballots += earlier == nil ? 1 : 0
        poll.tally.revision += 1
        records[ballot.pollID]?.poll.tally = poll.tally
        ballots[ballot.key] = ballot.choices
        return earlier == nil
            ? .counted(revision: poll.tally.revision) : .changed(revision: poll.tally.revision)
    }

    func checkTallies() {
        for record in records.values {
            var counts: [Int64] = [0, 0, 0]
            let own = ballots.filter { $0.key.poll == record.poll.id }
            for choices in own.values { choices.add(1, to: &counts) }
            require(counts == record.poll.tally.counts, "a tally is not its ballots")
        }
    }
}

extension BallotKey {
    fileprivate var poll: PollID? { PollID(Int64(high >> 16)) }

    fileprivate func isAfter(_ other: BallotKey) -> Bool { other < self }
}

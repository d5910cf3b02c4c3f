import Identity
import Polls
import Relay
import Threads

/// A relay as its two threads would drive it, on a bus in place of Redis.
final class RelayRoom: @unchecked Sendable {
    private let world: World
    private let bus: Bus
    private let station: RelayStation
    private let isAlive: () -> Bool
    private let viewers: () -> [(poll: PollID, count: Int)]
    private let heard: (RelayNews) -> Void
    let outbox: RelayOutbox
    private let watchlist = Watchlist()
    // The publisher.
    private var told = ViewerNews()
    private var publishBackoff: Backoff
    private var isPublishing = false
    private var isBusy = false
    private var heartbeatAt: Int64
    // The subscriber.
    private var connection: Bus.Connection?
    private var hearing: RelayHearing
    private var subscribeBackoff: Backoff
    private var isLooking = false

    init(
        _ world: World, bus: Bus, seal: RelaySeal, number: UInt64,
        isAlive: @escaping () -> Bool, viewers: @escaping () -> [(poll: PollID, count: Int)],
        heard: @escaping (RelayNews) -> Void
    ) throws {
        let settings = RelaySettings(target: try RedisTarget(url: "redis://nowhere"))
        station = RelayStation(settings: settings, node: NodeID(rawValue: number), seal: seal)
        self.world = world
        self.bus = bus
        self.isAlive = isAlive
        self.viewers = viewers
        self.heard = heard
        outbox = RelayOutbox(pollLimit: 64)
        publishBackoff = Backoff(base: settings.retryBase, limit: settings.retryLimit)
        subscribeBackoff = publishBackoff
        hearing = RelayHearing(station, at: world.now)
        heartbeatAt = world.now
        beat()
        connect()
    }

    /// Breaks the ring of the room and its connection.
    func end() {
        connection?.close()
        connection = nil
    }

    // MARK: The publisher

    func publish(_ event: PollEvent) {
        let lost =
            switch event {
            case .tallies(let tallies): outbox.add(tallies)
            case .created(let id), .deleted(let id, _): outbox.add(changed: id)
            case .changed(let record, _): outbox.add(changed: record.poll.id)
            }
        world.count("news lost", lost)
        wakePublisher()
    }

    func publish(voter: VoterKey, of poll: PollID) {
        _ = outbox.add(voter: voter, of: poll)
        wakePublisher()
    }

    func publish(_ notice: VoteNotice) {
        _ = outbox.add(counted: notice)
        wakePublisher()
    }

    private func wakePublisher() {
        if isBusy { return }
        isBusy = true
        world.after(world.chance.milliseconds(0.02...0.5)) { [self] in
            guard isAlive(), let unsent = outbox.take(until: 0) else { return }
            send(unsent)
        }
    }

    private func beat() {
        world.at(heartbeatAt) { [self] in
            if !isAlive() { return }
            heartbeatAt += station.settings.heartbeat.nanoseconds
            beat()
            if isBusy { return }
            _ = outbox.add(viewers: told.news(of: viewers().sorted { $0.poll < $1.poll }))
            isBusy = true
            send(outbox.take(until: 0) ?? [])
        }
    }

    private func send(_ unsent: [(poll: PollID, unsent: RelayOutbox.Unsent)]) {
        var isSent = bus.publish(encoded(.alive), to: station.channels.node(station.node))
        for (poll, news) in unsent {
            for (channel, message) in news.messages(of: poll, station.channels) where isSent {
                isSent = bus.publish(encoded(message), to: channel)
            }
        }
        isPublishing = isSent
        if isSent {
            publishBackoff.reset()
            return world.after(world.chance.milliseconds(0.05...1)) { [self] in publishMore() }
        }
        let delay = publishBackoff.next(random: .random(in: 0...1, using: &world.chance))
        world.after(delay) { [self] in
            if !isAlive() { return }
            world.count("news lost", outbox.putBack(unsent))
            publishMore()
        }
    }

    private func publishMore() {
        isBusy = false
        if isAlive(), outbox.pollCount > 0 { wakePublisher() }
    }

    private func encoded(_ message: RelayMessage) -> [UInt8] {
        message.encoded(by: station.node, with: station.seal)
    }

    // MARK: The subscriber

    func watch(_ id: PollID, _ isWatched: Bool) {
        if isWatched { watchlist.watch(id) } else { watchlist.leave(id) }
        look(after: world.chance.milliseconds(0.02...0.5))
    }

    private func connect() {
        if !isAlive() { return }
        guard let made = bus.connect(onReadable: { [self] in look(after: 0) }) else {
            return retry()
        }
        connection = made
        hearing = RelayHearing(station, at: world.now)
        made.subscribe([station.channels.polls, station.channels.node(station.node)])
        made.subscribe(watchlist.takeAll().sorted().map(station.channels.poll))
        look(after: world.chance.milliseconds(0.02...0.5))
    }

    private func retry() {
        let delay = subscribeBackoff.next(random: .random(in: 0...1, using: &world.chance))
        world.after(delay) { [self] in connect() }
    }

    /// What one pass of the subscriber's loop does, at least four times a second.
    private func look(after delay: Int64) {
        if isLooking { return }
        isLooking = true
        world.after(delay) { [self] in
            isLooking = false
            guard isAlive(), let connection else { return }
            do throws(RedisConnection.Failure) {
                try look(at: connection)
                look(after: 250_000_000)
            } catch {
                connection.close()
                self.connection = nil
                world.tell("a subscriber is cut off: \(error.reason)")
                retry()
            }
        }
    }

    private func look(at connection: Bus.Connection) throws(RedisConnection.Failure) {
        if connection.isBroken { throw RedisConnection.Failure(reason: "the connection was lost") }
        let replies = connection.read()
        if !replies.isEmpty {
            hearing.noteWord(of: 0, at: world.now)
            for reply in replies { hearing.take(reply, isWatched: watchlist.isWatched) }
            let (news, isAlive) = try hearing.takeNews(at: world.now)
            if !news.isEmpty { heard(news) }
            if isAlive { subscribeBackoff.reset() }
        }
        let changes = watchlist.takeChanges()
        connection.subscribe(changes.watched.sorted().map(station.channels.poll))
        connection.unsubscribe(changes.left.sorted().map(station.channels.poll))
        if hearing.isPingDue(at: world.now) { connection.ping() }
        try hearing.expectWords(of: [0], isPublishing: isPublishing, at: world.now)
    }
}

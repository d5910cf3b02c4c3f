import Identity
import Polls
import Reactor

/// What a loop keeps for each WebSocket and event stream: 24 bytes beside the connection itself.
struct LiveSocket {
    enum Kind: UInt8 { case none, webSocket, eventStream, echo, feed }

    private enum Credentials: UInt8 { case none, token, kept }

    var kind = Kind.none
    private var credentials = Credentials.none
    /// Ballots and subscriptions that wait for an answer.
    var unansweredCount: UInt16 = 0
    /// Subscriptions among them, poll by poll.
    var pendingSubscriptionCount: UInt16 = 0
    // The id of a voter token, or in `low` the place among the kept viewers.
    private var high: UInt64 = 0
    private var low: UInt64 = 0

    init() {}

    fileprivate init(_ kind: Kind) { self.kind = kind }

    fileprivate init(_ kind: Kind, token: VoterToken.ID) {
        self.init(kind)
        credentials = .token
        (high, low) = (token.high, token.low)
    }

    fileprivate init(_ kind: Kind, kept place: Int) {
        self.init(kind)
        credentials = .kept
        low = UInt64(place)
    }

    fileprivate var token: VoterToken.ID? {
        credentials == .token ? VoterToken.ID(high: high, low: low) : nil
    }

    fileprivate var keptPlace: Int? { credentials == .kept ? Int(low) : nil }

    var encoding: Encoding { kind == .eventStream ? .eventStream : .webSocket }
}

/// The live sockets of one loop, by slot. A slot is cleared when its connection is reported closed,
/// which is before another gets it; who comes back later asks the loop whether the id still lives.
struct LiveSockets {
    private var slots: [LiveSocket] = []
    /// The few that are more than a voter token: subjects of JWTs, hosts.
    private var kept: [Viewer?] = []
    private var free: [Int] = []

    /// An upper bound of the connections of the loop.
    var slotCount: Int { slots.count }

    subscript(connection: ConnectionID) -> LiveSocket {
        get { connection.slot < slots.count ? slots[connection.slot] : LiveSocket() }
        set { slots[connection.slot] = newValue }
    }

    mutating func insert(_ connection: ConnectionID, _ kind: LiveSocket.Kind, viewer: Viewer) {
        if connection.slot >= slots.count {
            // Grows by an eighth, not by half: slots are dense, and this is per idle socket.
            slots.reserveCapacity(max(64, connection.slot + connection.slot / 8 + 1))
            while slots.count <= connection.slot { slots.append(LiveSocket()) }
        }
        slots[connection.slot] = socket(kind, viewer)
    }

    mutating func remove(_ connection: ConnectionID) {
        guard connection.slot < slots.count else { return }
        if let place = slots[connection.slot].keptPlace {
            kept[place] = nil
            free.append(place)
        }
        slots[connection.slot] = LiveSocket()
    }

    func viewer(_ connection: ConnectionID) -> Viewer {
        let socket = self[connection]
        if let token = socket.token { return Viewer(identity: .token(token)) }
        if let place = socket.keptPlace, let viewer = kept[place] { return viewer }
        return Viewer()
    }

    private mutating func socket(_ kind: LiveSocket.Kind, _ viewer: Viewer) -> LiveSocket {
        switch (viewer.identity, viewer.expiresAt, viewer.presentedHostKeyHash) {
        case (nil, nil, nil):
            return LiveSocket(kind)
        case (.token(let id)?, nil, nil):
            return LiveSocket(kind, token: id)
        default:
            if let place = free.popLast() {
                kept[place] = viewer
                return LiveSocket(kind, kept: place)
            }
            kept.append(viewer)
            return LiveSocket(kind, kept: kept.count - 1)
        }
    }
}

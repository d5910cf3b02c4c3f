import Polls
import Reactor

/// How far the drain of a loop is. Reads no clock but what it is given.
struct Draining {
    /// When connections are closed, in steps of this.
    static let stepNanoseconds: UInt64 = 100_000_000
    private enum Phase {
        case serving
        case announced(closingAt: UInt64, spreadMilliseconds: UInt32)
        case closing
    }

    private var phase = Phase.serving
    private var beganAt: UInt64 = 0
    private var spreadMilliseconds: UInt32 = 0
    /// The next connection to be told.
    private var cursor: UInt32? = 0
    private var fraction = Double.random(in: 0..<1)
    /// By the step in which they are closed.
    private var due: [[ConnectionID]] = []
    private var nextStep = 0

    /// Draining was asked for: not ready any more.
    var isAnnounced: Bool { if case .serving = phase { false } else { true } }

    /// No live connection begins any more.
    var isClosing: Bool { if case .closing = phase { true } else { false } }

    mutating func announce(delayMilliseconds: UInt32, spreadMilliseconds: UInt32, at now: UInt64) {
        guard case .serving = phase else { return }
        phase = .announced(
            closingAt: now + UInt64(delayMilliseconds) * 1_000_000,
            spreadMilliseconds: spreadMilliseconds)
    }

    /// - Returns: whether closing begins now.
    mutating func beginClosing(at now: UInt64) -> Bool {
        guard case .announced(let closingAt, let spread) = phase, now >= closingAt else {
            return false
        }
        phase = .closing
        beganAt = now
        spreadMilliseconds = spread
        due = Array(
            repeating: [],
            count: Int(UInt64(spread) * 1_000_000 / Self.stepNanoseconds) + 2)
        return true
    }

    /// Calls `next` with the cursor over connections until this step's part of them is done.
    /// - Parameter count: of connections: all are told within a quarter of the time.
    mutating func walk(
        of count: Int, _ next: (inout UInt32) -> ConnectionID?
    ) -> [ConnectionID] {
        guard isClosing, var cursor else { return [] }
        let sliceCount = max(256, 4 * count / due.count)
        var slice: [ConnectionID] = []
        while slice.count < sliceCount {
            guard let connection = next(&cursor) else {
                self.cursor = nil
                return slice
            }
            slice.append(connection)
        }
        self.cursor = cursor
        return slice
    }

    /// Gives a connection its own time to close.
    ///
    /// Steps of the golden ratio fill the time evenly whatever their number is, where random ones
    /// would clump.
    /// - Returns: milliseconds from `now`.
    mutating func schedule(_ connection: ConnectionID, at now: UInt64) -> UInt32 {
        fraction += 0.618_033_988_749_895
        if fraction >= 1 { fraction -= 1 }
        let elapsed = UInt32(clamping: (now - beganAt) / 1_000_000)
        let remaining = spreadMilliseconds - min(elapsed, spreadMilliseconds)
        let delay = UInt32(fraction * Double(remaining))
        let closing = UInt64(elapsed) + UInt64(delay)
        // Rounded up: nobody is closed before the time it was told.
        let step = Int(closing * 1_000_000 / Self.stepNanoseconds) + 1
        due[min(max(step, nextStep), due.count - 1)].append(connection)
        return delay
    }

    /// Those whose time has come.
    mutating func takeDue(at now: UInt64) -> [ConnectionID] {
        guard isClosing else { return [] }
        let reached = min(Int((now - beganAt) / Self.stepNanoseconds), due.count - 1)
        var taken: [ConnectionID] = []
        while nextStep <= reached {
            taken += due[nextStep]
            due[nextStep] = []
            nextStep += 1
        }
        // The last step stays open for those that come late.
        nextStep = min(nextStep, due.count - 1)
        return taken
    }

    /// Comes again with the next step: it is owed an answer.
    mutating func postpone(_ connection: ConnectionID) {
        due[min(nextStep, due.count - 1)].append(connection)
    }
}

extension Gateway {
    /// `/readyz` says 503 from here on.
    var isDraining: Bool { draining.isAnnounced }

    func beginDraining(delayMilliseconds: UInt32, spreadMilliseconds: UInt32) {
        draining.announce(
            delayMilliseconds: delayMilliseconds, spreadMilliseconds: spreadMilliseconds,
            at: loop.nowNanoseconds)
        drainStep(at: loop.nowNanoseconds)
    }

    /// Tells a slice of the connections when they are closed, and closes those whose time has come.
    func drainStep(at nowNanoseconds: UInt64) {
        guard draining.isAnnounced else { return }
        if draining.beginClosing(at: nowNanoseconds) { loop.beginDrain() }
        for connection in draining.walk(of: sockets.slotCount, { loop.nextConnection(&$0) }) {
            tellDraining(connection, at: nowNanoseconds)
        }
        for connection in draining.takeDue(at: nowNanoseconds) {
            close(drained: connection)
        }
    }

    private func tellDraining(_ connection: ConnectionID, at nowNanoseconds: UInt64) {
        let socket = sockets[connection]
        // An HTTP connection closes after what it has in flight, an export when it is sent.
        guard socket.kind != .none else { return }
        let delay = draining.schedule(connection, at: nowNanoseconds)
        guard socket.kind != .echo, socket.kind != .feed else { return }
        send("draining", to: connection) { $0.writeDraining(reconnectInMilliseconds: delay) }
    }

    private func close(drained connection: ConnectionID) {
        switch loop.kind(of: connection) {
        case .webSocket where sockets[connection].unansweredCount > 0:
            draining.postpone(connection)
        case .webSocket:
            loop.close(connection, code: 1001, reason: "draining")
        case .stream:
            loop.endStream(connection)
        case .http, nil:
            break
        }
    }
}

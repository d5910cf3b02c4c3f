import CReactor
import CWire

/// One event loop with its own listeners, connections and topics. Belongs to the thread that calls
/// `run()`; other threads hold its `waker`.
package final class Loop {
    package let handle: OpaquePointer
    private unowned let handler: any LoopHandler
    /// Borrowed by the C loop, which gives its connections back to it when it is destroyed.
    package let budget: ConnectionBudget

    /// - Throws: `ReactorError.system` where the operating system refuses.
    package init(settings: LoopSettings, budget: ConnectionBudget, handler: any LoopHandler)
        throws(ReactorError)
    {
        self.handler = handler
        self.budget = budget
        var callbacks = ps_callbacks(
            on_request: { context, id, request in
                let loop = Loop.from(context)
                loop.handler.loop(loop, received: Request(request!), on: ConnectionID(id))
            },
            on_refused: { context, id, sequence, status in
                let loop = Loop.from(context)
                loop.handler.loop(
                    loop, refused: ConnectionID(id), sequence: sequence, status: Int(status))
            },
            on_message: { context, id, opcode, payload, receivedUnixMilliseconds in
                let loop = Loop.from(context)
                let message = Message(
                    payload: UnsafeRawBufferPointer(payload),
                    isText: UInt32(opcode) == PS_WS_TEXT.rawValue,
                    receivedUnixMilliseconds: receivedUnixMilliseconds)
                loop.handler.loop(loop, received: message, on: ConnectionID(id))
            },
            on_writable: { context, id in
                let loop = Loop.from(context)
                loop.handler.loop(loop, isWritable: ConnectionID(id))
            },
            on_close: { context, id, _ in
                let loop = Loop.from(context)
                loop.handler.loop(loop, closed: ConnectionID(id))
            },
            on_wake: { context in
                let loop = Loop.from(context)
                loop.handler.loopDidWake(loop)
            },
            on_tick: { context, nowNanoseconds in
                let loop = Loop.from(context)
                loop.handler.loopDidTick(loop, nowNanoseconds: nowNanoseconds)
            })
        // C keeps the context, so `self` has to exist first: a box is filled in after `init`.
        let box = Unmanaged.passRetained(LoopBox())
        var created: OpaquePointer?
        let result = settings.withCSettings(budget: budget) {
            ps_loop_create(&created, &$0, &callbacks, box.toOpaque())
        }
        guard result == PS_OK.rawValue, let created else {
            box.release()
            throw .system(operation: "create an event loop", reason: "not enough memory")
        }
        handle = created
        self.box = box
        box.takeUnretainedValue().loop = self
    }

    private let box: Unmanaged<LoopBox>

    deinit {
        ps_loop_destroy(handle)
        box.release()
    }

    /// Listens with SO_REUSEPORT, before `run()`.
    /// - Parameters:
    ///   - address: of one interface, or of all: IPv4 or IPv6, no name.
    ///   - port: 0 picks a free one.
    ///   - kind: which limits and rules its connections get.
    /// - Returns: the port.
    /// - Throws: `ReactorError.system` where the address is none, or cannot be had.
    package func listen(address: String, port: UInt16, kind: ListenerKind) throws(ReactorError)
        -> UInt16
    {
        var bound = port
        guard ps_loop_listen(handle, address, &bound, kind.cKind) == PS_OK.rawValue else {
            throw .system(
                operation: "listen on \(address):\(port)",
                reason: String(cString: ps_loop_error_text(handle)))
        }
        return bound
    }

    /// Makes sure, before the first loop listens, that no other process does: SO_REUSEPORT would let
    /// both in.
    /// - Throws: `ReactorError.system` where one does, or the address cannot be had.
    package func probe(address: String, port: UInt16) throws(ReactorError) {
        guard ps_loop_probe(handle, address, port) == PS_OK.rawValue else {
            throw .system(
                operation: "listen on \(address):\(port)",
                reason: String(cString: ps_loop_error_text(handle)))
        }
    }

    /// Serves on the calling thread until `stop()`.
    package func run() { ps_loop_run(handle) }

    /// Makes `run()` return after this turn.
    package func stop() { ps_loop_stop(handle) }

    /// For other threads.
    package var waker: LoopWaker { LoopWaker(handle: handle) }

    /// Monotonic, read once per turn.
    package var nowNanoseconds: UInt64 { ps_loop_now_ns(handle) }

    /// Closes the public listeners, and HTTP connections after what they have in flight.
    package func beginDrain() { ps_loop_begin_drain(handle) }

    /// The next open connection at or after `cursor` (0 at first), which moves past it.
    package func nextConnection(_ cursor: inout UInt32) -> ConnectionID? {
        let id = ps_loop_next_connection(handle, &cursor)
        return id == 0 ? nil : ConnectionID(id)
    }

    private static func from(_ context: UnsafeMutableRawPointer?) -> Loop {
        Unmanaged<LoopBox>.fromOpaque(context!).takeUnretainedValue().loop
    }
}

private final class LoopBox {
    unowned var loop: Loop!
}

/// What a loop's owner does with what happens. All on the loop's thread; arguments are borrowed
/// until the call returns.
package protocol LoopHandler: AnyObject {
    /// A whole request: answered exactly once, now or later.
    func loop(_ loop: Loop, received request: borrowing Request, on connection: ConnectionID)

    /// The peer broke HTTP or ran into a limit: to be answered at once; the connection then closes.
    func loop(_ loop: Loop, refused connection: ConnectionID, sequence: UInt32, status: Int)

    /// A whole WebSocket message.
    func loop(_ loop: Loop, received message: Message, on connection: ConnectionID)

    /// A stream that was full has room.
    func loop(_ loop: Loop, isWritable connection: ConnectionID)

    /// A WebSocket, a stream or a connection with unanswered requests is gone.
    func loop(_ loop: Loop, closed connection: ConnectionID)

    /// Somebody put something into an inbox.
    func loopDidWake(_ loop: Loop)

    /// About ten times a second.
    func loopDidTick(_ loop: Loop, nowNanoseconds: UInt64)
}

/// Wakes a loop from any thread; must not outlive it.
package struct LoopWaker: @unchecked Sendable {
    // `ps_loop_wake` is the one call that is safe from any thread.
    fileprivate let handle: OpaquePointer

    package func wake() { ps_loop_wake(handle) }
}

/// Whom a listener is for: everybody, or the operator.
package enum ListenerKind: Sendable {
    case publicAPI, operations

    var cKind: ps_listener_kind {
        switch self {
        case .publicAPI: PS_LISTENER_PUBLIC
        case .operations: PS_LISTENER_OPS
        }
    }
}

/// What the system refused at the start, and why.
package enum ReactorError: Error, CustomStringConvertible {
    case system(operation: String, reason: String)

    package var description: String {
        switch self {
        case .system(let operation, let reason): "cannot \(operation): \(reason)"
        }
    }
}

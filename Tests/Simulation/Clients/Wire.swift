import Glibc
import TestSockets

/// A client's end of a connection: bytes in both directions, taken apart into what they mean.
final class Wire {
    enum Event {
        case response(status: Int, head: String, body: [UInt8])
        /// Of a WebSocket, or the data of a Server-Sent Event.
        case message([UInt8])
        /// A WebSocket or an event stream has begun.
        case began
        /// By a Close frame with this code, or without one.
        case closed(code: Int?)
    }

    private enum Kind { case http, webSocket, eventStream }

    private let world: World
    private let descriptor: Int32
    private let loop: LoopRoom
    private var kind = Kind.http
    private var unread: [UInt8] = []
    private var isReadScheduled = false
    private var closeCode: Int?
    private(set) var isClosed = false
    /// Between what arrives and the client's look at it, milliseconds.
    var readDelay = 0.02...2.0
    /// Bytes that it takes in one look.
    var readBytes = 65_536
    /// Of a client that still exists.
    var heard: (Event) -> Void = { _ in }

    init(_ world: World, _ descriptor: Int32, to loop: LoopRoom) {
        self.world = world
        self.descriptor = descriptor
        self.loop = loop
    }

    deinit { if !isClosed { Glibc.close(descriptor) } }

    // MARK: Out

    func get(_ path: String, _ fields: [String] = [], upgrades: Bool = false) {
        var lines = ["GET \(path) HTTP/1.1", "Host: x"] + fields
        if upgrades {
            lines += [
                "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ]
        }
        send(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8))
    }

    func send(_ method: String, _ path: String, _ fields: [String], body: String) {
        let head = [
            "\(method) \(path) HTTP/1.1", "Host: x", "Content-Type: application/json",
            "Content-Length: \(body.utf8.count)",
        ]
        let lines = head + fields
        send(Array((lines.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8))
    }

    /// One text frame, masked by zeros.
    func send(text: String) {
        let payload = Array(text.utf8)
        precondition(payload.count < 65_536)
        let size: [UInt8] =
            payload.count < 126
            ? [0x80 | UInt8(payload.count)]
            : [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        send([0x81] + size + [0, 0, 0, 0] + payload)
    }

    private func send(_ bytes: [UInt8]) {
        if isClosed { return }
        let sent = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        // What a dead gateway no longer takes is lost with it; nobody sends more than a socket holds.
        precondition(sent == bytes.count || loop.hasEnded || sent < 0 && errno == EPIPE)
        loop.wake()
    }

    /// The client goes, without a word.
    func close() {
        if isClosed { return }
        isClosed = true
        heard = { _ in }
        Glibc.close(descriptor)
        loop.wake()
    }

    // MARK: In

    /// Lets those look that have something to look at.
    static func scheduleReads(of wires: [Wire]) {
        let idle = wires.filter { !$0.isReadScheduled && !$0.isClosed }
        if idle.isEmpty { return }
        var polled = idle.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        guard poll(&polled, nfds_t(polled.count), 0) > 0 else { return }
        for (wire, one) in zip(idle, polled) where one.revents != 0 { wire.scheduleRead() }
    }

    private func scheduleRead() {
        isReadScheduled = true
        world.after(world.chance.milliseconds(readDelay)) { [self] in
            isReadScheduled = false
            read()
        }
    }

    private func read() {
        if isClosed { return }
        var buffer = [UInt8](repeating: 0, count: readBytes)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count > 0 {
            unread += buffer[..<count]
            while !isClosed, take() {}
            // There may be more.
            if !isClosed { Self.scheduleReads(of: [self]) }
        } else if count == 0 || errno != EAGAIN {
            end()
        }
    }

    private func end() {
        isClosed = true
        Glibc.close(descriptor)
        heard(.closed(code: closeCode))
        heard = { _ in }
        if !loop.hasEnded { loop.wake() }
    }

    /// - Returns: whether there was something whole.
    private func take() -> Bool {
        switch kind {
        case .http: takeResponse()
        case .webSocket: takeFrame()
        case .eventStream: takeEvent()
        }
    }

    private func takeResponse() -> Bool {
        guard let end = unread.firstRange(of: Array("\r\n\r\n".utf8)) else { return false }
        let head = String(decoding: unread[..<end.lowerBound], as: UTF8.self)
        let lines = head.split(separator: "\r\n")
        let status = lines[0].split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        var bodyCount = 0
        for line in lines where line.lowercased().hasPrefix("content-length:") {
            bodyCount = Int(line.split(separator: " ")[1]) ?? 0
        }
        if status == 101 || head.contains("text/event-stream") {
            unread.removeFirst(end.upperBound)
            kind = status == 101 ? .webSocket : .eventStream
            heard(.began)
            return true
        }
        guard unread.count >= end.upperBound + bodyCount else { return false }
        let body = Array(unread[end.upperBound..<end.upperBound + bodyCount])
        unread.removeFirst(end.upperBound + bodyCount)
        heard(.response(status: status, head: head, body: body))
        return true
    }

    private func takeFrame() -> Bool {
        guard let frame = ReceivedFrame(takenFrom: &unread) else { return false }
        switch frame.opcode {
        case 1: heard(.message(frame.payload))
        case 8:
            closeCode = frame.closeCode ?? 1005
            end()
        case 9: send([0x8A, 0x80 | UInt8(frame.payload.count), 0, 0, 0, 0] + frame.payload)
        default: break
        }
        return true
    }

    private func takeEvent() -> Bool {
        guard let end = unread.firstRange(of: Array("\n\n".utf8)) else { return false }
        let lines = String(decoding: unread[..<end.lowerBound], as: UTF8.self)
            .split(separator: "\n")
        unread.removeFirst(end.upperBound)
        for line in lines where line.hasPrefix("data: ") {
            heard(.message(Array(line.dropFirst(6).utf8)))
        }
        return true
    }
}

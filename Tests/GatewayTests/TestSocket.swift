import Foundation
import Glibc
import TestSockets

/// A blocking client: a WebSocket that trusts nobody, or a plain stream.
final class TestSocket {
    enum Received: Equatable {
        case text(String)
        case closed(code: Int)
        /// The connection ended without a Close frame.
        case ended
        /// Nothing came in time.
        case nothing
    }

    private let front: TestFront  // lives as long as who is connected to it
    private let descriptor: Int32
    private var unread: [UInt8] = []
    /// All that was ever received, to look for what must never be sent.
    private(set) var everything: [UInt8] = []
    private(set) var head = ""

    /// Sends a GET; as a handshake where `upgrades`.
    init(_ front: TestFront, loop: Int = 0, _ path: String, upgrades: Bool = true) {
        self.front = front
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let result = withLoopback(port: front.ports[loop]) { connect(descriptor, $0, $1) }
        precondition(result == 0, "cannot connect")
        var request = "GET \(path) HTTP/1.1\r\nHost: test\r\n"
        if upgrades {
            request += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            request += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        }
        write(Array((request + "\r\n").utf8))
        readHead()
    }

    deinit { Glibc.close(descriptor) }

    func send(_ text: String) {
        let payload = Array(text.utf8)
        var frame: [UInt8] = [0x81]
        if payload.count < 126 {
            frame.append(0x80 | UInt8(payload.count))
        } else {
            frame += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xff)]
        }
        frame += [0, 0, 0, 0]  // a mask that changes nothing
        write(frame + payload)
    }

    func sendBinary() { write([0x82, 0x81, 0, 0, 0, 0, 1]) }

    /// The next message.
    func receive(milliseconds: Int = 60_000) -> Received {
        let deadline = Date(timeIntervalSinceNow: Double(milliseconds) / 1000)
        while true {
            if let frame = ReceivedFrame(takenFrom: &unread) {
                switch frame.opcode {
                case 1: return .text(String(decoding: frame.payload, as: UTF8.self))
                case 8: return .closed(code: frame.closeCode ?? 0)
                default: continue
                }
            }
            switch fill(until: deadline) {
            case .bytes: continue
            case .end: return .ended
            case .timeout: return .nothing
            }
        }
    }

    /// The next message that is no `viewers`, as JSON; empty where there is none.
    func next(milliseconds: Int = 60_000) -> [String: Any] {
        while case .text(let text) = receive(milliseconds: milliseconds) {
            let message = Self.parse(text)
            if message["type"] as? String != "viewers" { return message }
        }
        return [:]
    }

    /// The next event of a stream: its lines.
    func nextEvent(milliseconds: Int = 60_000) -> [String] {
        let deadline = Date(timeIntervalSinceNow: Double(milliseconds) / 1000)
        while true {
            let text = String(decoding: unread, as: UTF8.self)
            if let end = text.range(of: "\n\n") {
                unread = Array(text[end.upperBound...].utf8)
                let lines = text[..<end.lowerBound].split(separator: "\n").map(String.init)
                if lines.first != "event: viewers" { return lines }
                continue
            }
            guard case .bytes = fill(until: deadline) else { return [] }
        }
    }

    static func parse(_ text: String) -> [String: Any] {
        let value = try? JSONSerialization.jsonObject(with: Data(text.utf8))
        return value as? [String: Any] ?? [:]
    }

    // MARK: Bytes

    private enum Fill { case bytes, end, timeout }

    private func fill(until deadline: Date) -> Fill {
        let left = Int32(max(0, deadline.timeIntervalSinceNow * 1000))
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&poll, 1, left) > 0 else { return .timeout }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return .end }
        unread += buffer[..<count]
        everything += buffer[..<count]
        return .bytes
    }

    private func readHead() {
        let deadline = Date(timeIntervalSinceNow: 60)
        while true {
            let text = String(decoding: unread, as: UTF8.self)
            if let end = text.range(of: "\r\n\r\n") {
                head = String(text[..<end.lowerBound])
                unread.removeFirst(text[..<end.upperBound].utf8.count)
                return
            }
            guard case .bytes = fill(until: deadline) else { return }
        }
    }

    private func write(_ bytes: [UInt8]) { sendAll(bytes, to: descriptor) }
}

extension [String: Any] {
    var type: String { self["type"] as? String ?? "" }
    var code: String { self["code"] as? String ?? "" }
    var revision: Int64 { (self["revision"] as? NSNumber)?.int64Value ?? -1 }
    var counts: [Int64] { (self["counts"] as? [NSNumber])?.map(\.int64Value) ?? [] }
    var poll: [String: Any] { self["poll"] as? [String: Any] ?? [:] }
    var total: Int64? { (poll["total_votes"] as? NSNumber)?.int64Value }
}

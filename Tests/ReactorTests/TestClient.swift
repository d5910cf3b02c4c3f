import Glibc
import TestSockets

/// A blocking socket to a `TestServer`, with TLS where that is tested; a read that takes longer than
/// five seconds ends.
final class TestClient {
    private(set) var descriptor: Int32
    private let tls: TLSPeer?
    private var buffer: [UInt8] = []
    private(set) var agreedExtensions: String?

    struct Answer: Equatable {
        let status: Int
        let head: String
        let body: String
    }

    /// - Parameter tls: shakes hands before this returns, if the server lets it.
    init(
        port: UInt16, receiveBufferBytes: Int32? = nil, tls: TLSPeer? = TestTransport.makePeer()
    ) {
        self.tls = tls
        descriptor = TestClient.socket()
        if var bytes = receiveBufferBytes {
            setsockopt(
                descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
        }
        TestClient.connect(descriptor, port: port)
        if let tls { shakeHands(tls) }
    }

    /// Takes over a connected descriptor, and shakes hands over it.
    init(descriptor: Int32, tls: TLSPeer? = TestTransport.makePeer()) {
        self.descriptor = descriptor
        self.tls = tls
        if let tls { shakeHands(tls) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// How long a test waits for what has to come: far longer than it takes, also on a machine that
    /// does much else and with a sanitizer.
    static let patienceSeconds = 60

    static func socket() -> Int32 {
        let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        precondition(descriptor >= 0, "no descriptor left")
        var timeout = timeval(tv_sec: patienceSeconds, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        return descriptor
    }

    static func connect(_ descriptor: Int32, port: UInt16) {
        let result = withLoopback(port: port) { Glibc.connect(descriptor, $0, $1) }
        precondition(result == 0, "cannot connect: \(errno)")
    }

    /// Opens a WebSocket; `tail` is sent in the segment of the handshake.
    /// - Parameter fields: of the handshake, `Name: value\r\n` each.
    convenience init(
        webSocket path: String, port: UInt16, fields: String = "", tail: [UInt8] = [],
        receiveBufferBytes: Int32? = nil, tls: TLSPeer? = TestTransport.makePeer()
    ) {
        self.init(port: port, receiveBufferBytes: receiveBufferBytes, tls: tls)
        send(
            Array(
                """
                GET \(path) HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r
                \(fields)Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n
                """.utf8) + tail)
        let answer = readHead()
        agreedExtensions =
            answer.split(separator: "\r\n").first { $0.hasPrefix("Sec-WebSocket-Extensions: ") }
            .map { String($0.dropFirst("Sec-WebSocket-Extensions: ".count)) }
        precondition(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "no handshake: \(answer)")
    }

    // MARK: Bytes

    func send(_ text: String) { send(Array(text.utf8)) }

    /// Stops silently where the peer has closed.
    func send(_ bytes: [UInt8]) { sendRaw(tls?.encrypt(bytes) ?? bytes) }

    /// Sends bytes as they are, whatever TLS would make of them.
    func sendRaw(_ bytes: [UInt8]) { sendAll(bytes, to: descriptor) }

    func finishSending() {
        if let tls { sendRaw(tls.finish()) }
        shutdown(descriptor, Int32(SHUT_WR))
    }

    private func shakeHands(_ tls: TLSPeer) {
        while tls.shakeHands() == .more {
            sendRaw(tls.take())
            guard let bytes = receive() else { return }
            tls.give(bytes)
        }
        sendRaw(tls.take())  // Finished, or an alert
    }

    /// Closes with RST.
    func reset() {
        var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_LINGER, &linger,
            socklen_t(MemoryLayout<Glibc.linger>.size))
        // Without a FIN before it, which would only say that no more requests come.
        close(descriptor)
        descriptor = -1
    }

    /// Reads some more. Returns false at the end, or when patience does.
    private func readMore(flags: Int32 = 0) -> Bool {
        while true {
            switch tls?.read() {
            case .bytes(let bytes):
                buffer += bytes
                return true
            case .end:
                wasToldTheEnd = true
                return false
            case .failed: return false
            case .more, nil:
                guard let bytes = receive(flags: flags) else { return false }
                if let tls {
                    tls.give(bytes)
                } else {
                    buffer += bytes
                    return true
                }
            }
        }
    }

    /// Over TLS: the server has said that nothing follows.
    private(set) var wasToldTheEnd = false

    /// What the socket has; nil at the end, or when patience does.
    private func receive(flags: Int32 = 0) -> ArraySlice<UInt8>? {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        let count = uninterrupted { recv(descriptor, &chunk, chunk.count, flags) }
        return count <= 0 ? nil : chunk[..<count]
    }

    // MARK: Bytes that a test carries to and from a `TLSPeer`

    /// What comes next, as it is; empty at the end, or when patience does.
    func readSome() -> [UInt8] { receive().map { Array($0) } ?? [] }

    /// Reads until `peer` has decrypted something, or to its end.
    func readText(from peer: TLSPeer, untilItEnds: Bool = false) -> String {
        var text: [UInt8] = []
        while true {
            switch peer.read() {
            case .bytes(let bytes): text += bytes
            case .more where !text.isEmpty && !untilItEnds:
                return String(decoding: text, as: UTF8.self)
            case .more:
                let bytes = readSome()
                if bytes.isEmpty { return String(decoding: text, as: UTF8.self) }
                peer.give(bytes)
            case .end, .failed: return String(decoding: text, as: UTF8.self)
            }
        }
    }

    // MARK: More bytes

    func readToEnd() -> String {
        while readMore() {}
        defer { buffer = [] }
        return String(decoding: buffer, as: UTF8.self)
    }

    /// Whether the peer closes; what it sends before is thrown away.
    func isClosed() -> Bool {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = uninterrupted { recv(descriptor, &chunk, chunk.count, 0) }
            if count == 0 || (count < 0 && errno == ECONNRESET) { return true }
            if count < 0 { return false }
        }
    }

    /// Whether nothing comes for a while.
    func isQuiet(forMilliseconds time: Int32 = 250) -> Bool {
        // What TLS has for itself, a session ticket, is taken and makes no noise.
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        if tls != nil { _ = readMore(flags: Int32(MSG_DONTWAIT)) }
        while buffer.isEmpty {
            if uninterrupted({ Int(Glibc.poll(&poll, 1, time)) }) == 0 { return true }
            var byte: UInt8 = 0
            if tls == nil || recv(descriptor, &byte, 1, Int32(MSG_PEEK)) <= 0 { return false }
            _ = readMore(flags: Int32(MSG_DONTWAIT))
        }
        return false
    }

    func read(_ count: Int) -> [UInt8]? {
        while buffer.count < count { if !readMore() { return nil } }
        defer { buffer.removeFirst(count) }
        return Array(buffer[..<count])
    }

    func readText(_ count: Int) -> String? {
        read(count).map { String(decoding: $0, as: UTF8.self) }
    }

    // MARK: HTTP

    func readHead() -> String {
        let end = Array("\r\n\r\n".utf8)
        var searched = 0
        while true {
            while searched + 4 <= buffer.count {
                if Array(buffer[searched..<searched + 4]) == end {
                    return readText(searched + 4)!
                }
                searched += 1
            }
            if !readMore() { return "" }
        }
    }

    /// One answer with Content-Length, or without a body. Status 0 where none comes.
    func readAnswer(hasBody: Bool = true) -> Answer {
        let head = readHead()
        let words = head.split(separator: " ")
        let status = words.count > 1 ? Int(words[1]) ?? 0 : 0
        var length = 0
        for line in head.split(separator: "\r\n") where line.hasPrefix("Content-Length: ") {
            length = Int(line.dropFirst("Content-Length: ".count)) ?? 0
        }
        let body = hasBody ? readText(length) ?? "" : ""
        return Answer(status: status, head: head, body: body)
    }

    func ask(_ request: String) -> Answer {
        send(request)
        return readAnswer()
    }

    static func get(_ path: String, fields: String = "") -> String {
        "GET \(path) HTTP/1.1\r\nHost: test\r\n\(fields)\r\n"
    }

    // MARK: WebSocket

    static func frame(
        _ opcode: UInt8, _ payload: [UInt8], fin: Bool = true, masked: Bool = true,
        compressed: Bool = false
    ) -> [UInt8] {
        let maskBit: UInt8 = masked ? 0x80 : 0
        var bytes: [UInt8] = [(fin ? 0x80 : 0) | (compressed ? 0x40 : 0) | opcode]
        switch payload.count {
        case ..<126: bytes.append(maskBit | UInt8(payload.count))
        case ..<65_536:
            bytes += [maskBit | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        default:
            bytes.append(maskBit | 127)
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(payload.count >> shift & 255))
            }
        }
        guard masked else { return bytes + payload }
        let mask: [UInt8] = [0x11, 0x22, 0x33, 0x44]
        return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 & 3] }
    }

    static func text(_ text: String, fin: Bool = true) -> [UInt8] {
        frame(1, Array(text.utf8), fin: fin)
    }

    func readFrame() -> ReceivedFrame? {
        while true {
            if let frame = ReceivedFrame(takenFrom: &buffer) { return frame }
            if !readMore() { return nil }
        }
    }

    /// Reads frames up to and including the first text that satisfies `condition`.
    func readFrames(until condition: (String) -> Bool) -> [String] {
        var texts: [String] = []
        while let frame = readFrame() {
            if frame.opcode != 1 { continue }
            texts.append(frame.text)
            if condition(frame.text) { break }
        }
        return texts
    }

    /// The frames that are there already.
    func readWaitingFrames() -> [ReceivedFrame] {
        while readMore(flags: Int32(MSG_DONTWAIT)) {}
        var frames: [ReceivedFrame] = []
        while let frame = ReceivedFrame(takenFrom: &buffer) { frames.append(frame) }
        return frames
    }
}

extension ReceivedFrame: CustomStringConvertible {
    var text: String {
        String(decoding: isCompressed ? inflated(payload) ?? [] : payload, as: UTF8.self)
    }
    package var description: String { "\(opcode):\(text.prefix(40))" }
}

/// A ring that goes away interrupts calls of whoever made it.
private func uninterrupted(_ call: () -> Int) -> Int {
    while true {
        let result = call()
        if result >= 0 || errno != EINTR { return result }
    }
}

import Foundation
import Glibc
import Identity
import Polls
import TestSockets

@testable import Gateway
@testable import Reactor

/// One loop with a gateway that routes, on both kinds of listener, and a catalogue that answers as
/// it is told.
final class RouteFront {
    let catalogue = ScriptedCatalogue()
    let shared = Shared(secrets: .forTests)
    let budget: ConnectionBudget
    private let listening = Listening()
    private let ended = DispatchSemaphore(value: 0)

    /// - Parameter bufferLimit: of the memory for buffers, in bytes.
    init(_ settings: GatewaySettings = .init(), bufferLimit: UInt64 = .max) {
        let budget = ConnectionBudget(connectionLimit: 100, bufferLimit: bufferLimit)
        self.budget = budget
        let (catalogue, shared, listening, ended) = (catalogue, shared, listening, ended)
        let started = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            do {
                let gateway = Gateway(
                    loopIndex: 0, settings: settings, doors: catalogue.doors, shared: shared)
                try Self.serve(gateway, budget, catalogue) {
                    (listening.publicPort, listening.operationsPort) = $0
                    started.signal()
                }
            } catch {
                fatalError("cannot start a loop: \(error)")
            }
            // It outlives the loop, which ends with `serve`.
            withExtendedLifetime(budget) {}
            ended.signal()
        }
        started.wait()
    }

    deinit {
        catalogue.tell(.stop)
        ended.wait()
    }

    private static func serve(
        _ gateway: Gateway, _ budget: ConnectionBudget, _ catalogue: ScriptedCatalogue,
        started: ((UInt16, UInt16)) -> Void
    ) throws {
        let loop = try Loop(settings: LoopSettings(), budget: budget, handler: gateway)
        catalogue.open(gateway.attach(to: loop))
        started(
            (
                try loop.listen(address: "127.0.0.1", port: 0, kind: .publicAPI),
                try loop.listen(address: "127.0.0.1", port: 0, kind: .operations)
            ))
        loop.run()
        catalogue.close()
    }

    /// Sends one request and reads to the end of the connection.
    func send(
        _ method: String, _ path: String, _ fields: [String] = [], body: String? = nil,
        operations: Bool = false
    ) -> HTTPAnswer {
        let connection = connect(operations: operations)
        connection.send(method, path, fields + ["Connection: close"], body: body)
        return connection.answer()
    }

    func connect(operations: Bool = false) -> HTTPConnection {
        HTTPConnection(port: operations ? listening.operationsPort : listening.publicPort)
    }

    /// Written before a semaphore is signalled, read after it was waited for.
    private final class Listening: @unchecked Sendable {
        var publicPort: UInt16 = 0
        var operationsPort: UInt16 = 0
    }
}

/// Answers every question at once, from the thread that asks. Thread-safe.
final class ScriptedCatalogue: @unchecked Sendable {
    typealias Script = @Sendable (CatalogueRequest) -> CatalogueAnswer

    // `lock` guards everything below.
    private let lock = NSRecursiveLock()
    private var inbox: Inbox<LoopMessage>?
    private var script: Script = { _ in .refused(.storageUnavailable) }
    private var isReadyNow = true
    private var drains: [Int?] = []

    var doors: Doors {
        Doors(
            enqueue: { _ in false },
            ask: { request, ticket in
                self.lock.withLock {
                    let reply = CatalogueReply(ticket: ticket, answer: self.script(request))
                    self.inbox?.append(.answered(reply))
                }
                return true
            },
            isReady: { self.lock.withLock { self.isReadyNow } },
            metrics: { Array("pollstream_up 1\n".utf8) },
            drain: { seconds in self.lock.withLock { self.drains.append(seconds) } })
    }

    func answers(_ script: @escaping Script) { lock.withLock { self.script = script } }
    func setReady(_ isReady: Bool) { lock.withLock { isReadyNow = isReady } }
    var drainRequests: [Int?] { lock.withLock { drains } }

    func open(_ inbox: Inbox<LoopMessage>) { lock.withLock { self.inbox = inbox } }
    func close() { lock.withLock { inbox = nil } }
    func tell(_ message: LoopMessage) { lock.withLock { inbox?.append(message) } }
}

struct HTTPAnswer {
    var status = 0
    /// Lower-case names.
    var fields: [String: String] = [:]
    var body: [UInt8] = []
    /// Its framing says that nothing is missing.
    var isWhole = false

    var text: String { String(decoding: body, as: UTF8.self) }
}

/// A blocking client of one connection.
final class HTTPConnection {
    private let descriptor: Int32

    init(port: UInt16) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var patience = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        let result = withLoopback(port: port) { connect(descriptor, $0, $1) }
        precondition(result == 0, "cannot connect")
    }

    deinit { Glibc.close(descriptor) }

    func send(_ method: String, _ path: String, _ fields: [String], body: String? = nil) {
        var lines = ["\(method) \(path) HTTP/1.1", "Host: test"] + fields
        if let body { lines.append("Content-Length: \(body.utf8.count)") }
        let text = lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")
        send(text)
    }

    func send(_ text: String) {
        _ = Array(text.utf8).withUnsafeBytes {
            Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
    }

    /// Reads at least this many bytes, or to the end.
    func read(atLeast count: Int) -> [UInt8] {
        var received: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while received.count < count {
            let taken = recv(descriptor, &buffer, buffer.count, 0)
            if taken <= 0 { break }
            received += buffer[..<taken]
        }
        return received
    }

    /// The answer, read to the end of the connection.
    func answer() -> HTTPAnswer {
        let bytes = read(atLeast: .max)
        var answer = HTTPAnswer()
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return answer }
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
            .components(separatedBy: "\r\n")
        answer.status = Int(lines[0].split(separator: " ")[1]) ?? 0
        for line in lines.dropFirst() {
            let colon = line.firstIndex(of: ":") ?? line.endIndex
            answer.fields[line[..<colon].lowercased()] = line[colon...].dropFirst()
                .trimmingCharacters(in: .whitespaces)
        }
        let rest = Array(bytes[end.upperBound...])
        if answer.fields["transfer-encoding"] == "chunked" {
            (answer.body, answer.isWhole) = Self.dechunk(rest)
        } else {
            answer.body = rest
            answer.isWhole = Int(answer.fields["content-length"] ?? "") == rest.count
        }
        return answer
    }

    private static func dechunk(_ bytes: [UInt8]) -> (body: [UInt8], isWhole: Bool) {
        var body: [UInt8] = []
        var rest = bytes[...]
        while let line = rest.firstRange(of: [13, 10]),
            let size = Int(String(decoding: rest[..<line.lowerBound], as: UTF8.self), radix: 16)
        {
            if size == 0 { return (body, true) }
            rest = rest[line.upperBound...]
            guard rest.count >= size + 2 else { break }
            body += rest.prefix(size)
            rest = rest.dropFirst(size + 2)
        }
        return (body, false)
    }
}

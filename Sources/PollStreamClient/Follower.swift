import JSON
import Threads

/// Keeps a WebSocket open for some polls and tells what comes, on a thread of its own: connects
/// again when it is lost, at the moment that a draining gateway names, else after a delay that
/// doubles and is spread.
final class Follower: @unchecked Sendable {
    private let endpoint: Endpoint
    private let token: String?
    private let subscription: String
    private let tell: @Sendable (LiveEvent) -> Void
    private let end: @Sendable (ClientError?) -> Void
    // Of the thread.
    private var revisions = RevisionGuard()
    private var backoff = Backoff(base: .milliseconds(250), limit: .seconds(30))
    private let reader = JSONReader()
    // Guarded by `monitor`.
    private let monitor = Monitor()
    private var isStopped = false

    private static let limit = Duration.seconds(10)
    /// Two ping periods of a gateway.
    private static let silenceLimit = Duration.seconds(50)

    /// - Parameters:
    ///   - tell: from the thread.
    ///   - end: from the thread, last; with the reason where trying again would not help.
    init(
        _ endpoint: Endpoint, token: String?, polls: [Int64], hostKey: String?,
        tell: @escaping @Sendable (LiveEvent) -> Void,
        end: @escaping @Sendable (ClientError?) -> Void
    ) {
        self.endpoint = endpoint
        self.token = token
        self.tell = tell
        self.end = end
        var json = JSONWriter()
        json.beginObject()
        json.member("type", "subscribe")
        json.member("poll_ids", polls)
        if let hostKey { json.member("host_key", hostKey) }
        json.endObject()
        subscription = String(decoding: json.bytes, as: UTF8.self)
        Thread(name: "poll follower") { self.run() }.detach()
    }

    func stop() {
        monitor.withLock { isStopped = true }
        monitor.signalAll()
    }

    private func run() {
        while !monitor.withLock({ isStopped }) {
            var delay: Int64?
            do throws(ClientError) {
                delay = try follow()
            } catch {
                tell(.disconnected(reason: "\(error)"))
                guard error.isTransient else { return end(error) }
            }
            rest(nanoseconds: delay ?? backoff.next(random: .random(in: 0...1)))
        }
        end(nil)
    }

    /// One connection. - Returns: for how many nanoseconds to stay away, where the gateway said so.
    private func follow() throws(ClientError) -> Int64? {
        let socket = try ClientWebSocket(
            at: endpoint, path: "/ws/", token: token, limit: Self.limit)
        try socket.send(text: subscription)
        tell(.connected)
        var delay: Int64?
        while !monitor.withLock({ isStopped }) {
            let now = Clock.monotonicNanoseconds()
            guard now - socket.lastWord < Self.silenceLimit.nanoseconds else { throw .timedOut }
            switch try socket.receive(until: now + 200_000_000) {
            case nil: break
            case .message(let text)?:
                if let told = try take(text) { delay = told }
            case .close(let code)?:
                tell(.disconnected(reason: "closed with \(code)"))
                return delay
            }
        }
        try socket.sendClose(1000)
        return nil
    }

    /// - Returns: the delay that a draining gateway names, in nanoseconds.
    private func take(_ text: [UInt8]) throws(ClientError) -> Int64? {
        switch try reader.read(text, { try LiveMessage($0) }) {
        case .event(let event):
            backoff.reset()
            if revisions.admit(event) { tell(event) }
        case .draining(let milliseconds):
            return max(0, min(milliseconds, 600_000)) * 1_000_000
        case .error(let code, let message):
            throw .refused(
                status: code == "overloaded" ? 503 : 400, code: code, message: message,
                retryAfterSeconds: nil)
        case .other: break
        }
        return nil
    }

    private func rest(nanoseconds: Int64) {
        let deadline = Clock.monotonicNanoseconds() + nanoseconds
        monitor.withLock { while !isStopped, monitor.wait(until: deadline) {} }
    }
}

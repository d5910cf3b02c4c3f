import Glibc
import Reactor
import Testing

/// All tests of this target, one after another: some of them count descriptors and memory.
@Suite(.serialized) enum ReactorTests {}

/// A loop on a thread of its own, with a handler that tests steer by path:
///
///     /now       answered at once, with the body or the path
///     /later     kept in `pending` until a test answers it
///     /close     answered with Connection: close
///     /large     answered with 64 KiB
///     /ws        upgraded; text is echoed
///     /topic     upgraded and subscribed to topic 0; /topics: to topics 0 and 1
///     /stream    a chunked stream, /raw: bytes until the close, /events: that, on topic 0
final class TestServer: LoopHandler, @unchecked Sendable {
    // Everything but `jobs`, `statistics` and `events` belongs to the loop's thread; `init` and
    // `stop` run while that thread does not.

    struct Pending {
        let connection: ConnectionID
        let sequence: UInt32
    }

    private(set) var port: UInt16 = 0
    private(set) var opsPort: UInt16 = 0
    let budget: ConnectionBudget
    private var loop: Loop!
    private var jobs: Inbox<@Sendable () -> Void>!
    private var thread = pthread_t()
    private(set) var statistics: StatisticsReader!

    var topics: [Topic] = []
    var pending: [Pending] = []
    var streams: [ConnectionID] = []
    var sockets: [ConnectionID] = []
    var keepsNotes = true
    var requestedPaths: [String] = []
    var refusals: [Int] = []
    var closed: [ConnectionID] = []
    var writableCount = 0
    var messageCount = 0
    /// Requests and messages that were handled in one turn: the clock stands still in it.
    var handledAt: [UInt64: Int] = [:]
    /// Takes of the memory for buffers.
    var ballast: Frame?

    /// `POLLSTREAM_TEST_FAN_OUT=auto` runs every test once more through io_uring, where the kernel
    /// lets us.
    private static let usesURing: Bool = {
        let name = getenv("POLLSTREAM_TEST_FAN_OUT").map { String(cString: $0) } ?? "send"
        return (try? FanOut(rawValue: name)!.usesURing()) ?? false
    }()

    init(
        connectionLimit: UInt32 = 10_000, bufferLimit: UInt64 = .max, topicCount: Int = 2,
        tls: TLSContext? = TestTransport.context,
        _ adjust: (inout LoopSettings) -> Void = { _ in }
    ) throws {
        var settings = LoopSettings()
        settings.overloadResponse = Array(
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfull"
                .utf8)
        settings.usesURing = Self.usesURing
        settings.tls = tls
        // What is not under test: on a slow machine hundreds of clients take seconds to come, and a ping
        // would be the first frame that the first of them read.
        settings.headerTimeoutMilliseconds = 120_000
        settings.bodyTimeoutMilliseconds = 120_000
        settings.idleTimeoutMilliseconds = 600_000
        settings.pingPeriodMilliseconds = 600_000
        settings.proxyTimeoutMilliseconds = 120_000
        settings.tlsTimeoutMilliseconds = 120_000
        adjust(&settings)
        budget = ConnectionBudget(connectionLimit: connectionLimit, bufferLimit: bufferLimit)
        loop = try Loop(settings: settings, budget: budget, handler: self)
        port = try loop.listen(address: "127.0.0.1", port: 0, kind: .publicAPI)
        opsPort = try loop.listen(address: "::1", port: 0, kind: .operations)
        jobs = Inbox(waker: loop.waker)
        statistics = loop.statistics
        topics = (0..<topicCount).map { _ in Topic(on: loop) }
        let started = pthread_create(
            &thread, nil,
            { context in
                Unmanaged<TestServer>.fromOpaque(context!).takeUnretainedValue().loop.run()
                return nil
            }, Unmanaged.passUnretained(self).toOpaque())
        precondition(started == 0)
    }

    /// Joins the thread and frees the loop. Every test ends with it.
    func stop() {
        run { $0.loop.stop() }
        pthread_join(thread, nil)
        topics = []
        ballast = nil
        statistics = nil
        loop = nil
        precondition(budget.bufferBytes == 0, "\(budget.bufferBytes) bytes are still counted")
    }

    /// Runs `body` on the loop's thread and waits for it.
    @discardableResult
    func run<R: Sendable>(_ body: @escaping @Sendable (TestServer) -> R) -> R {
        let done = Done<R>()
        jobs.append { done.set(body(self)) }
        return done.wait()
    }

    /// Runs `body` on the loop's thread some time.
    func post(_ body: @escaping @Sendable (TestServer) -> Void) {
        jobs.append { body(self) }
    }

    /// Waits, for as long as a test may wait, until the loop's thread finds `condition` true.
    func eventually(_ condition: @escaping @Sendable (TestServer) -> Bool) -> Bool {
        for _ in 0..<TestClient.patienceSeconds * 200 {
            if run(condition) { return true }
            usleep(5_000)
        }
        return false
    }

    /// The counters, with all that earlier turns have done in them.
    func numbers() -> LoopStatistics { run { $0.statistics.read() } }

    func withLoop(_ body: (Loop) -> Void) { body(loop) }

    func answer(_ pending: Pending, _ text: String, closes: Bool = false) -> SendResult {
        loop.respond(
            to: pending.connection, sequence: pending.sequence,
            with: Response(status: 200, body: Array(text.utf8), closes: closes))
    }

    func frame(_ text: String) -> Frame {
        var message: [UInt8] = []
        Array(text.utf8).withUnsafeBytes { Frame.append(text: $0, to: &message) }
        return Frame(messages: message, on: loop)
    }

    /// So many bytes are held beside what connections hold.
    func hold(_ bytes: Int) {
        run {
            $0.ballast = nil
            $0.ballast = $0.frame(String(repeating: "b", count: bytes))
        }
    }

    func publishTally(_ text: String, on topic: Int = 0) {
        topics[topic].publishTally(frame(text))
    }

    func send(_ text: String, to connection: ConnectionID) -> SendResult {
        var text = text
        return text.withUTF8 { loop.send(text: UnsafeRawBufferPointer($0), to: connection) }
    }

    func write(_ bytes: [UInt8], to stream: ConnectionID) -> SendResult {
        bytes.withUnsafeBytes { loop.write($0, toStream: stream) }
    }

    // MARK: LoopHandler

    func loop(_ loop: Loop, received request: borrowing Request, on connection: ConnectionID) {
        let path = String(decoding: request.path, as: UTF8.self)
        if keepsNotes {
            requestedPaths.append(path)
            handledAt[loop.nowNanoseconds, default: 0] += 1
        }
        switch path {
        case "/later":
            pending.append(Pending(connection: connection, sequence: request.sequence))
        case "/ws", "/topic", "/topics":
            guard case .valid = request.handshake,
                loop.upgrade(connection, sequence: request.sequence, fields: [])
            else { return respond(503, "", to: connection, request.sequence) }
            if keepsNotes { sockets.append(connection) }
            for topic in topics.prefix(path == "/topics" ? 2 : path == "/topic" ? 1 : 0) {
                _ = topic.subscribe(connection)
            }
        case "/stream", "/raw", "/events":
            let started = loop.stream(
                to: connection, sequence: request.sequence,
                head: Response(status: 200, body: Array("first;".utf8)),
                framing: path == "/stream" ? .chunked : .untilClose, ping: ":ping;")
            guard started else { return respond(503, "", to: connection, request.sequence) }
            streams.append(connection)
            if path == "/events" { _ = topics[0].subscribe(connection) }
        case "/large":
            respond(200, String(repeating: "l", count: 64 << 10), to: connection, request.sequence)
        case "/missing":
            respond(204, "", to: connection, request.sequence)
        default:
            let body = String(decoding: request.body, as: UTF8.self)
            loop.respond(
                to: connection, sequence: request.sequence,
                with: Response(
                    status: 200, fields: Array("Content-Type: text/plain\r\n".utf8),
                    body: Array((body.isEmpty ? path : body).utf8), closes: path == "/close"))
        }
    }

    private func respond(
        _ status: Int, _ text: String, to connection: ConnectionID, _ sequence: UInt32
    ) {
        loop.respond(
            to: connection, sequence: sequence,
            with: Response(status: status, body: Array(text.utf8)))
    }

    func loop(_ loop: Loop, refused connection: ConnectionID, sequence: UInt32, status: Int) {
        refusals.append(status)
        respond(status, "refused", to: connection, sequence)
    }

    func loop(_ loop: Loop, received message: Message, on connection: ConnectionID) {
        messageCount += 1
        if keepsNotes { handledAt[loop.nowNanoseconds, default: 0] += 1 }
        if message.isText {
            loop.send(text: message.payload, to: connection)
        } else {
            loop.send(binary: message.payload, to: connection)
        }
    }

    func loop(_ loop: Loop, isWritable connection: ConnectionID) { writableCount += 1 }

    func loop(_ loop: Loop, closed connection: ConnectionID) {
        if keepsNotes { closed.append(connection) }
    }

    func loopDidWake(_ loop: Loop) {
        var batch: [@Sendable () -> Void] = []
        jobs.drain(into: &batch)
        for job in batch { job() }
    }

    func loopDidTick(_ loop: Loop, nowNanoseconds: UInt64) {}
}

/// A value that another thread waits for.
final class Done<Value: Sendable>: @unchecked Sendable {
    // `value` is written before the semaphore is posted and read after it was waited for.
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    private var value: Value?

    init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func set(_ value: Value) {
        self.value = value
        sem_post(semaphore)
    }

    func wait() -> Value {
        while sem_wait(semaphore) != 0 {}
        return value!
    }
}

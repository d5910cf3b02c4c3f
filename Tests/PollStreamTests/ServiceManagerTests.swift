import Glibc
import Reactor
import Synchronization
import Testing
import Threads

@testable import PollStream

@Suite(.serialized) struct ServiceManagerTests {
    @Test func `each word is a datagram to the socket that the environment names`() throws {
        let listener = try NotifySocket()
        let manager = ServiceManager(environment: ["NOTIFY_SOCKET": listener.path].value)
        manager.ready("serving")
        manager.reloading(atMonotonicNanoseconds: 1_234_567_890)
        manager.stopping("draining")
        manager.alive()
        #expect(listener.receive() == "READY=1\nSTATUS=serving")
        #expect(listener.receive() == "RELOADING=1\nMONOTONIC_USEC=1234567")
        #expect(listener.receive() == "STOPPING=1\nSTATUS=draining")
        #expect(listener.receive() == "WATCHDOG=1")
    }

    @Test func `without a socket, or with one that is not there, nothing happens`() {
        for path in [nil, "", "relative", "/nowhere/at/all", String(repeating: "/x", count: 200)] {
            let environment = path.map { ["NOTIFY_SOCKET": $0] } ?? [:]
            ServiceManager(environment: environment.value).ready("serving")
        }
    }

    @Test func `a watchdog is kept only where it is asked of this process`() {
        func period(_ environment: [String: String]) -> Int64? {
            ServiceManager(environment: environment.value, processID: 42).watchdogNanoseconds
        }
        #expect(period([:]) == nil)
        #expect(period(["WATCHDOG_USEC": "30000000"]) == 30_000_000_000)
        #expect(period(["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"]) == 30_000_000_000)
        #expect(period(["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "43"]) == nil)
        #expect(period(["WATCHDOG_USEC": "soon"]) == nil)
        #expect(period(["WATCHDOG_USEC": "0"]) == nil)
    }

    @Test func `all is well only while every loop turns`() throws {
        let listener = try NotifySocket()
        let environment = ["NOTIFY_SOCKET": listener.path, "WATCHDOG_USEC": "1500000"]
        let budget = ConnectionBudget(connectionLimit: 1)
        let loops = try (0..<2).map { _ in try IdleLoop(budget) }
        let watchdog = Watchdog(
            ServiceManager(environment: environment.value), loops: loops.map(\.statistics))
        watchdog.start()
        let first = Thread(name: "loop 0") { loops[0].run() }
        #expect(listener.receive(forMilliseconds: 1_500) == nil)
        let second = Thread(name: "loop 1") { loops[1].run() }
        #expect(listener.receive() == "WATCHDOG=1")
        watchdog.stop()
        loops.forEach { $0.stop() }
        first.join()
        second.join()
    }
}

extension [String: String] {
    fileprivate var value: (String) -> String? { { self[$0] } }
}

/// A loop that serves nobody, on a thread of its own.
private final class IdleLoop: LoopHandler, @unchecked Sendable {
    // Set by `init`; used by the thread that runs it, `statistics` by any.
    private var loop: Loop!
    private(set) var statistics: StatisticsReader!
    private let isStopping = Atomic<Bool>(false)

    init(_ budget: ConnectionBudget) throws {
        loop = try Loop(settings: LoopSettings(), budget: budget, handler: self)
        statistics = loop.statistics
    }

    func run() { loop.run() }

    /// At the next tick.
    func stop() { isStopping.store(true, ordering: .relaxed) }

    func loopDidTick(_ loop: Loop, nowNanoseconds: UInt64) {
        if isStopping.load(ordering: .relaxed) { loop.stop() }
    }

    func loop(_ loop: Loop, received request: borrowing Request, on connection: ConnectionID) {}
    func loop(_ loop: Loop, refused connection: ConnectionID, sequence: UInt32, status: Int) {}
    func loop(_ loop: Loop, received message: Message, on connection: ConnectionID) {}
    func loop(_ loop: Loop, isWritable connection: ConnectionID) {}
    func loop(_ loop: Loop, closed connection: ConnectionID) {}
    func loopDidWake(_ loop: Loop) {}
}

/// Where systemd would listen.
private final class NotifySocket {
    let path: String
    private let descriptor: Int32

    init() throws {
        path = "/tmp/pollstream-notify-\(getpid())-\(UInt32.random(in: .min ... .max))"
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
    }

    deinit {
        close(descriptor)
        unlink(path)
    }

    /// The next datagram, nil where none comes in time.
    func receive(forMilliseconds time: Int32 = 20_000) -> String? {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&wanted, 1, time) == 1 else { return nil }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}

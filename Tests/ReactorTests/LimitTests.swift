import Glibc
import Reactor
import TestSockets
import Testing

extension ReactorTests {
    @Suite struct LimitTests {
        /// Over TLS it would take a handshake to answer: see `TLSMisuseTests`.
        @Test(.enabled(if: !TestTransport.isTLS))
        func `past the budget everybody is answered 503, the ops listener goes on`() throws {
            let server = try TestServer(connectionLimit: 2)
            defer { server.stop() }
            var first: TestClient? = TestClient(port: server.port)
            let second = TestClient(port: server.port)
            #expect(first?.ask(TestClient.get("/now")).status == 200)
            #expect(second.ask(TestClient.get("/now")).status == 200)
            for _ in 0..<5 {
                #expect(TestClient(port: server.port).readToEnd().hasSuffix("full"))
            }
            #expect(server.statistics.read().refusedConnections == 5)
            #expect(server.budget.connectionCount == 2)
            first = nil
            #expect(server.eventually { $0.budget.connectionCount == 1 })
            #expect(TestClient(port: server.port).ask(TestClient.get("/now")).status == 200)
        }

        @Test func `past the budget who has long asked for nothing makes room for who comes`()
            throws
        {
            let server = try TestServer(connectionLimit: 4)
            defer { server.stop() }
            let socket = TestClient(webSocket: "/ws", port: server.port)
            let waiting = TestClient(port: server.port)
            waiting.send(TestClient.get("/later"))
            let asked = TestClient(port: server.port)
            #expect(asked.ask(TestClient.get("/now")).status == 200)
            let halfway = TestClient(port: server.port)
            halfway.send("GET /now HTTP/1.1\r\n")
            #expect(server.eventually { $0.pending.count == 1 && $0.budget.connectionCount == 4 })
            usleep(1_500_000)
            // Two have nothing under way, and so two more are served.
            let comers = (0..<2).map { _ in TestClient(port: server.port) }
            for comer in comers { #expect(comer.ask(TestClient.get("/now")).status == 200) }
            #expect(asked.readToEnd() == "")
            #expect(halfway.readToEnd() == "")
            #expect(server.statistics.read().count(ofLimit: "idle-connections") == 2)
            #expect(server.budget.connectionCount == 4)
            // Who has just come keeps its place, and so do those who watch or wait.
            #expect(
                TestClient(port: server.port).readToEnd().hasSuffix("full") || TestTransport.isTLS)
            #expect(server.statistics.read().refusedConnections == 1)
            for comer in comers { #expect(comer.ask(TestClient.get("/now")).status == 200) }
            socket.send(TestClient.text("still here"))
            #expect(socket.readFrame()?.text == "still here")
            server.run { _ = $0.answer($0.pending[0], "last") }
            #expect(waiting.readAnswer().body == "last")
        }

        @Test func `two loops share a budget and a port`() throws {
            let one = try TestServer()
            defer { one.stop() }
            let other = try TestServer()
            defer { other.stop() }
            #expect(one.port != other.port)
            let client = TestClient(port: one.port)
            let stranger = TestClient(port: other.port)
            #expect(client.ask(TestClient.get("/now")).status == 200)
            #expect(stranger.ask(TestClient.get("/now")).status == 200)
            #expect(one.run { $0.requestedPaths.count } == 1)
            #expect(other.run { $0.requestedPaths.count } == 1)
            // An id of one loop finds nothing in the other, or a connection that is the other's own.
            #expect(one.statistics.read().acceptedConnections == 1)
        }

        @Test(.enabled(if: !TestTransport.isTLS))
        func `out of descriptors whoever comes is answered, and then served again`() async {
            // In a process of its own: the limit is the process's, and others want descriptors, too.
            await #expect(processExitsWith: .success) {
                let server = try TestServer()
                defer { server.stop() }
                let sockets = (0..<5).map { _ in TestClient.socket() }
                var before = rlimit()
                getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before)
                let lowestFree = open("/dev/null", O_RDONLY)
                close(lowestFree)
                var tight = rlimit(rlim_cur: rlim_t(lowestFree), rlim_max: before.rlim_max)
                setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &tight)
                for socket in sockets.prefix(4) { TestClient.connect(socket, port: server.port) }
                let clients = sockets.prefix(4).map { TestClient(descriptor: $0) }
                let answers = clients.map { $0.readToEnd() }
                setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before)
                #expect(answers.allSatisfy { $0.hasSuffix("full") })
                #expect(server.statistics.read().refusedConnections == 4)
                TestClient.connect(sockets[4], port: server.port)
                let later = TestClient(descriptor: sockets[4])
                #expect(later.ask(TestClient.get("/now")).status == 200)
            }
        }

        @Test func `draining closes listeners and idle connections, and answers what is asked`()
            throws
        {
            let server = try TestServer()
            defer { server.stop() }
            let idle = TestClient(port: server.port)
            #expect(idle.ask(TestClient.get("/now")).status == 200)
            let waiting = TestClient(port: server.port)
            waiting.send(TestClient.get("/later"))
            let socket = TestClient(webSocket: "/ws", port: server.port)
            #expect(server.eventually { $0.pending.count == 1 })
            server.run { server in server.withLoop { $0.beginDrain() } }
            #expect(idle.readToEnd() == "")
            server.run { _ = $0.answer($0.pending[0], "last") }
            let answer = waiting.readToEnd()
            #expect(answer.contains("Connection: close\r\n"))
            #expect(answer.hasSuffix("last"))
            socket.send(TestClient.text("still here"))
            #expect(socket.readFrame()?.text == "still here")
            let refused = TestClient.socket()
            defer { close(refused) }
            #expect(withLoopback(port: server.port) { connect(refused, $0, $1) } == -1)
            #expect(
                server.run { server in
                    var cursor: UInt32 = 0
                    var open: [ConnectionID] = []
                    server.withLoop {
                        while let id = $0.nextConnection(&cursor) { open.append(id) }
                    }
                    return open == server.sockets
                })
        }

        /// Over TLS it costs more: see `TLSTrafficTests`.
        @Test(.enabled(if: !TestTransport.isTLS))
        func `an idle subscriber costs at most 300 bytes of memory`() throws {
            let count = 2_048
            let server = try TestServer()
            defer { server.stop() }
            server.run { $0.keepsNotes = false }
            // Warm: what the first ones cost, all others share.
            var sockets: [Int32] = (0..<256).map { _ in subscribe(to: server) }
            sockets.reserveCapacity(256 + count)
            let before = server.run { _ in heapBytesInUse() }
            for _ in 0..<count { sockets.append(subscribe(to: server)) }
            let after = server.run { _ in heapBytesInUse() }
            for socket in sockets { close(socket) }
            #expect(server.eventually { $0.statistics.read().currentSubscriptions == 0 })
            let grown = after - before
            // The clients' descriptors are of this process, too, and double libuv's table by number.
            let clientsShare = 16
            #expect(grown / count <= 300 + clientsShare, "\(grown / count) bytes each")
        }

        private func subscribe(to server: TestServer) -> Int32 {
            let descriptor = TestClient.socket()
            TestClient.connect(descriptor, port: server.port)
            let client = TestClient(descriptor: dup(descriptor))
            client.send(
                TestClient.get(
                    "/topic",
                    fields:
                        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                ))
            precondition(client.readHead().hasPrefix("HTTP/1.1 101"))
            return descriptor
        }
    }
}

/// Bytes taken from malloc, by its own account (malloc_info(3), whose header Glibc leaves out).
func heapBytesInUse() -> Int {
    typealias Info = @convention(c) (Int32, UnsafeMutablePointer<FILE>) -> Int32
    let symbol = dlsym(dlopen(nil, RTLD_NOW), "malloc_info")!
    let info = unsafeBitCast(symbol, to: Info.self)
    var text: UnsafeMutablePointer<CChar>?
    var count = 0
    let stream = open_memstream(&text, &count)!
    _ = info(0, stream)
    fclose(stream)
    defer { free(text) }
    let report = String(cString: text!)
    // The totals of all arenas come last.
    let totals = report[(report.ranges(of: "</heap>").last?.upperBound ?? report.startIndex)...]
    func size(_ start: String) -> Int {
        guard let line = totals.split(separator: "\n").first(where: { $0.hasPrefix(start) }),
            let value = line.split(separator: "\"").last(where: { Int($0) != nil })
        else { preconditionFailure("no \(start) in \(totals)") }
        return Int(value)!
    }
    return size("<system type=\"current\"") + size("<total type=\"mmap\"")
        - size("<total type=\"fast\"") - size("<total type=\"rest\"")
}

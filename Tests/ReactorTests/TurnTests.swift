import Reactor
import Testing

extension ReactorTests {
    /// What many do at once, or one does at great cost, is cut into turns.
    @Suite struct TurnTests {
        /// Holds the loop up, so that what is sent meanwhile is all there when it goes on.
        private func whileHeldUp(_ server: TestServer, _ body: () -> Void) {
            let (begun, goes) = (Done<Bool>(), Done<Bool>())
            server.post { _ in
                begun.set(true)
                _ = goes.wait()
            }
            _ = begun.wait()
            body()
            goes.set(true)
        }

        @Test func `a turn ends although sockets go on having something`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let clients = (0..<1_500).map { _ in TestClient(port: server.port) }
            for client in clients { #expect(client.ask(TestClient.get("/now")).status == 200) }
            server.run { $0.handledAt = [:] }
            whileHeldUp(server) {
                for client in clients { client.send(TestClient.get("/now")) }
            }
            for client in clients { #expect(client.readAnswer().body == "/now") }
            let most = server.run { $0.handledAt.values.max() } ?? 0
            #expect((2...512).contains(most), "\(most) in one turn")
        }

        @Test func `thousands of messages of one socket are served in their order, in turns`()
            throws
        {
            let server = try TestServer()
            defer { server.stop() }
            let socket = TestClient(webSocket: "/ws", port: server.port)
            let count = 5_000
            whileHeldUp(server) {
                socket.send((0..<count).flatMap { TestClient.text("\($0)") })
            }
            for number in 0..<count { #expect(socket.readFrame()?.text == "\(number)") }
            let most = server.run { $0.handledAt.values.max() } ?? 0
            // When it is read, and once more at the end of that turn.
            #expect((2...2_048).contains(most), "\(most) in one turn")
        }

        @Test func `messages that are large once they are inflated are served in turns`() throws {
            let server = try TestServer { $0.compressAboveBytes = 100 }
            defer { server.stop() }
            let socket = TestClient(
                webSocket: "/ws", port: server.port, fields: TestClient.offersDeflate)
            let text = [UInt8](repeating: 0x20, count: 60_000)
            let message = TestClient.frame(1, deflated(text), compressed: true)
            let ping = TestClient.frame(9, [7])
            whileHeldUp(server) {
                socket.send((0..<100).flatMap { _ in message } + ping)
            }
            for _ in 0..<100 { #expect(inflated(try #require(socket.readFrame()).payload) == text) }
            #expect(socket.readFrame()?.payload == [7])
            let most = server.run { $0.handledAt.values.max() } ?? 0
            #expect((1...10).contains(most), "\(most) in one turn")
        }

        @Test func `behind an answer that closes, given early, nothing is executed`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send(
                TestClient.get("/later") + TestClient.get("/close") + TestClient.get("/never"))
            #expect(server.eventually { $0.requestedPaths.count == 2 })
            server.run { _ = $0.answer($0.pending[0], "first") }
            #expect(client.readAnswer().body == "first")
            #expect(client.readAnswer().body == "/close")
            #expect(client.isClosed())
            #expect(server.run { $0.requestedPaths } == ["/later", "/close"])
        }

        @Test func `an export that ends while the loop drains ends its connection`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send(TestClient.get("/stream"))
            #expect(server.eventually { $0.streams.count == 1 })
            server.run { server in
                server.withLoop { loop in
                    loop.beginDrain()
                    loop.endStream(server.streams[0])
                }
            }
            #expect(client.readToEnd().hasSuffix("0\r\n\r\n"))
            #expect(server.eventually { $0.budget.connectionCount == 0 })
        }

        @Test
        func `while memory is full who asks for much is told 503, and who asks for little served`()
            throws
        {
            let server = try TestServer(bufferLimit: 1 << 20)
            defer { server.stop() }
            let (client, another) = (TestClient(port: server.port), TestClient(port: server.port))
            #expect(client.ask(TestClient.get("/large")).status == 200)
            #expect(another.ask(TestClient.get("/now")).status == 200)
            server.hold(1 << 20)
            let answer = client.ask(TestClient.get("/large"))
            #expect(answer.status == 503)
            #expect(answer.body == "full")
            #expect(client.isClosed())
            #expect(another.ask(TestClient.get("/now")).status == 200)
            #expect(server.numbers().shed.first { $0.name == "requests" }?.count == 1)
        }
    }
}

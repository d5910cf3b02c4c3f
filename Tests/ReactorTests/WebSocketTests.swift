import Glibc
import Reactor
import Testing

extension ReactorTests {
    @Suite struct WebSocketTests {
        private func withEcho(
            _ adjust: @escaping (inout LoopSettings) -> Void = { _ in },
            _ body: (TestServer, TestClient) throws -> Void
        ) throws {
            let server = try TestServer(adjust)
            defer { server.stop() }
            try body(server, TestClient(webSocket: "/ws", port: server.port))
        }

        /// What comes after these bytes, up to the end.
        private func closeCode(
            after bytes: [UInt8], _ adjust: @escaping (inout LoopSettings) -> Void = { _ in }
        ) throws -> Int? {
            var code: Int?
            try withEcho(adjust) { server, client in
                client.send(bytes)
                while let frame = client.readFrame() { code = frame.closeCode ?? code }
                #expect(client.isClosed())
                client.finishSending()
                #expect(server.eventually { $0.closed.count == 1 })
            }
            return code
        }

        @Test func `a message comes back whole`() throws {
            try withEcho { _, client in
                for count in [0, 1, 125, 126, 65_535, 65_536] {
                    let payload = [UInt8](repeating: 7, count: count)
                    client.send(TestClient.frame(2, payload))
                    #expect(client.readFrame() == .init(opcode: 2, payload: payload))
                }
            }
        }

        @Test func `frames in the segment of the handshake are read after it`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(
                webSocket: "/ws", port: server.port,
                tail: TestClient.text("one") + TestClient.text("two"))
            #expect(client.readFrame()?.text == "one")
            #expect(client.readFrame()?.text == "two")
        }

        @Test func `a message is the same wherever its bytes are cut`() throws {
            try withEcho { server, client in
                let bytes =
                    TestClient.text("hel", fin: false) + TestClient.frame(9, [1])
                    + TestClient.frame(0, Array("lo".utf8))
                for cut in 1..<bytes.count {
                    client.send(Array(bytes[..<cut]))
                    _ = server.run { _ in 0 }
                    client.send(Array(bytes[cut...]))
                    #expect(client.readFrame() == .init(opcode: 10, payload: [1]))
                    #expect(client.readFrame()?.text == "hello", "cut at \(cut)")
                }
            }
        }

        @Test func `a ping is answered between fragments with its payload`() throws {
            try withEcho { _, client in
                let payload = [UInt8](0..<125)
                client.send(
                    TestClient.text("a", fin: false) + TestClient.frame(9, payload)
                        + TestClient.frame(0, [], fin: false) + TestClient.frame(0, [98]))
                #expect(client.readFrame() == .init(opcode: 10, payload: payload))
                #expect(client.readFrame()?.text == "ab")
            }
        }

        @Test func `a Close is answered with its code, and the socket ends`() throws {
            #expect(try closeCode(after: TestClient.frame(8, [0x03, 0xe8])) == 1000)
            #expect(try closeCode(after: TestClient.frame(8, [0x0f, 0xa1, 104, 105])) == 4001)
            #expect(try closeCode(after: TestClient.frame(8, [])) == 1000)
        }

        @Test func `our Close waits for the peer's`() throws {
            try withEcho { server, client in
                server.run { server in
                    server.withLoop { $0.close(server.sockets[0], code: 4404, reason: "gone") }
                    #expect(server.send("too late", to: server.sockets[0]) == .gone)
                }
                let close = client.readFrame()
                #expect(close?.closeCode == 4404)
                #expect(close?.payload.dropFirst(2) == Array("gone".utf8)[...])
                #expect(client.isQuiet())
                #expect(server.run { $0.closed.isEmpty })
                client.send(TestClient.text("still talking") + TestClient.frame(8, [0x11, 0x34]))
                #expect(client.isClosed())
                client.finishSending()
                #expect(server.eventually { $0.closed.count == 1 })
                #expect(server.run { $0.messageCount } == 0)
            }
        }

        @Test func `who never answers our Close is closed all the same`() throws {
            try withEcho({ $0.closeTimeoutMilliseconds = 200 }) { server, client in
                server.run { server in
                    server.withLoop { $0.close(server.sockets[0], code: 1001) }
                }
                #expect(client.readFrame()?.closeCode == 1001)
                #expect(client.isClosed())
                #expect(server.eventually { $0.closed.count == 1 })
            }
        }

        @Test(
            arguments: [
                ("unmasked", TestClient.frame(1, [65], masked: false), 1002),
                ("reserved bit", [0xc1, 0x80, 0, 0, 0, 0], 1002),
                ("reserved opcode", [0x83, 0x80, 0, 0, 0, 0], 1002),
                ("fragmented ping", TestClient.frame(9, [], fin: false), 1002),
                ("continuation of nothing", TestClient.frame(0, [65]), 1002),
                (
                    "message in a message",
                    TestClient.text("a", fin: false) + TestClient.text("b"), 1002
                ),
                ("Close of one byte", TestClient.frame(8, [3]), 1002),
                ("Close with 1005", TestClient.frame(8, [0x03, 0xed]), 1002),
                ("invalid UTF-8", TestClient.frame(1, [0xc0, 0xaf]), 1007),
                (
                    "invalid UTF-8 over two frames",
                    TestClient.frame(1, [0xe2, 0x82], fin: false) + TestClient.frame(0, [0x28]),
                    1007
                ),
            ] as [(String, [UInt8], Int)])
        func `a violation is closed with its code`(
            name: String, bytes: [UInt8], code: Int
        ) throws {
            #expect(try closeCode(after: bytes) == code, "\(name)")
        }

        @Test func `messages past their limits are refused`() throws {
            let limited: (inout LoopSettings) -> Void = {
                $0.messageBytes = 100
                $0.messageFragmentCount = 3
            }
            let announced: [UInt8] = [0x82, 0x80 | 101, 0, 0, 0, 0]
            #expect(try closeCode(after: announced, limited) == 1009)
            let half = [UInt8](repeating: 65, count: 60)
            #expect(
                try closeCode(
                    after: TestClient.frame(1, half, fin: false) + TestClient.frame(0, half),
                    limited) == 1009)
            let empty = TestClient.frame(0, [], fin: false)
            #expect(
                try closeCode(
                    after: TestClient.text("", fin: false) + empty + empty + empty, limited)
                    == 1008)
        }

        @Test func `who pings and never reads holds one pong`() throws {
            let server = try TestServer { $0.outboxBytes = 8 << 10 }
            defer { server.stop() }
            let client = TestClient(
                webSocket: "/ws", port: server.port, receiveBufferBytes: 2048)
            var pings: [UInt8] = []
            for index in 0..<20_000 {
                let number = [UInt8(index >> 8), UInt8(index & 255)]
                pings += TestClient.frame(9, number + [UInt8](repeating: 0, count: 60))
            }
            client.send(pings)
            let sent = UInt64(pings.count)
            #expect(
                server.eventually { $0.statistics.read().bytesReceived > sent })
            var last: [UInt8]?
            var count = 0
            while let frame = client.readFrame() {
                count += 1
                last = Array(frame.payload.prefix(2))
                if last == [0x4e, 0x1f] { break }
            }
            #expect(last == [0x4e, 0x1f])
            #expect(count < 20_000)
            #expect(server.run { $0.closed.isEmpty })
        }

        @Test func `an upgrade waits for no earlier request`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send(
                TestClient.get("/later")
                    + TestClient.get(
                        "/ws",
                        fields:
                            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                    ))
            #expect(server.eventually { $0.pending.count == 1 })
            server.run { _ = $0.answer($0.pending[0], "first") }
            #expect(client.readAnswer().body == "first")
            #expect(client.readAnswer().status == 503)
        }

        @Test func `an outbox past its limit closes with 1008`() throws {
            let server = try TestServer {
                $0.outboxBytes = 32 << 10
                $0.closeTimeoutMilliseconds = 1_000
            }
            defer { server.stop() }
            let client = TestClient(
                webSocket: "/ws", port: server.port, receiveBufferBytes: 2048)
            let text = String(repeating: "x", count: 8_000)
            let results = server.run { server in
                (0..<100).map { _ in server.send(text, to: server.sockets[0]) }
            }
            let full = results.firstIndex(of: .full) ?? -1
            #expect(full > 0)
            #expect(results.suffix(from: full + 1).allSatisfy { $0 == .gone })
            #expect(server.statistics.read().count(ofLimit: "outbox-bytes") == 1)
            #expect(client.readFrame()?.text == text)
            #expect(server.eventually { $0.closed.count == 1 })
        }
    }
}

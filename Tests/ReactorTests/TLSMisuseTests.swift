import Glibc
import Reactor
import TestRandom
import Testing

extension ReactorTests {
    /// Peers that speak something else, or TLS in bad faith: each costs its own connection at most.
    @Suite struct TLSMisuseTests {
        private static let certificates = TestCertificates.shared

        private func withServer(
            _ adjust: (inout LoopSettings) -> Void = { _ in }, _ body: (TestServer) throws -> Void
        ) throws {
            let server = try TestServer(tls: Self.certificates.context, adjust)
            defer { server.stop() }
            let witness = TestClient(webSocket: "/ws", port: server.port, tls: makePeer())
            try body(server)
            witness.send(TestClient.text("still here"))
            #expect(witness.readFrame()?.text == "still here")
            #expect(server.eventually { $0.statistics.read().currentTLSConnections == 1 })
        }

        private func makePeer(_ version: TLSPeer.Version? = nil) -> TLSPeer {
            TLSPeer(
                authority: Self.certificates.authority, serverName: "test", version: version)
        }

        @Test(arguments: [
            TestClient.get("/now"), "POST /now HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "EHLO example.org\r\n",
            "\0\0\0\0\0\0\0\0", "\u{16}\u{3}\u{1}\0\0", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        ])
        func `who does not speak TLS is closed`(words: String) throws {
            try withServer { server in
                let client = TestClient(port: server.port, tls: nil)
                client.send(words)
                client.send(TestClient.get("/now"))
                #expect(client.isClosed())
                #expect(server.run { $0.requestedPaths } == ["/ws"])
                #expect(server.numbers().tlsFailures == 1)
            }
        }

        @Test func `a million random bytes are closed`() throws {
            try withServer { server in
                var generator = SeededGenerator(seed: 7)
                for _ in 0..<20 {
                    let client = TestClient(port: server.port, tls: nil)
                    client.sendRaw(
                        (0..<50_000).map { _ in .random(in: 0...255, using: &generator) })
                    #expect(client.isClosed())
                }
                #expect(server.numbers().tlsFailures == 20)
            }
        }

        /// OpenSSL would make room for all of it at these nine bytes.
        @Test(arguments: [1, 5, 8, 9])
        func `a first message that says it is huge is closed at its announcement`(cut: Int) throws {
            try withServer { server in
                let hello: [UInt8] = [0x16, 3, 1, 0x40, 0, 1, 2, 1, 0x44]
                let client = TestClient(port: server.port, tls: nil)
                client.sendRaw(Array(hello[..<cut]))
                usleep(20_000)
                client.sendRaw(Array(hello[cut...]))
                #expect(client.isClosed())
                #expect(server.numbers().tlsFailures == 1)
            }
        }

        @Test func `a handshake does not begin while memory is full`() throws {
            let server = try TestServer(bufferLimit: 1 << 20, tls: Self.certificates.context)
            defer { server.stop() }
            // It came when there was some.
            let client = TestClient(port: server.port, tls: nil)
            #expect(server.eventually { $0.budget.connectionCount == 1 })
            server.hold(1 << 20)
            client.sendRaw([0x16, 3, 1])
            #expect(client.isClosed())
            #expect(server.numbers().shed.first { $0.name == "connections" }?.count == 1)
        }

        @Test func `a record that was changed on its way ends its connection`() throws {
            try withServer { server in
                for version in [TLSPeer.Version.tls12, .tls13] {
                    let peer = makePeer(version)
                    let client = TestClient(port: server.port, tls: peer)
                    #expect(client.ask(TestClient.get("/now")).status == 200)
                    var record = peer.encrypt(TestClient.get("/never").utf8)
                    record[record.count / 2] ^= 1
                    client.sendRaw(record)
                    #expect(client.readToEnd() == "")
                    #expect(peer.error.contains("bad record mac"), "\(peer.error)")
                }
                #expect(!server.run { $0.requestedPaths.contains("/never") })
            }
        }

        @Test func `another handshake is refused, and the connection goes on`() throws {
            try withServer { server in
                let peer = makePeer(.tls12)
                let client = TestClient(port: server.port, tls: peer)
                #expect(client.ask(TestClient.get("/now")).status == 200)
                client.sendRaw(try #require(peer.renegotiate()))
                // The client hears of it as a warning, gives up, and has lost its own connection.
                #expect(client.readToEnd() == "")
                #expect(peer.error.contains("no renegotiation"), "\(peer.error)")
                #expect(server.numbers().tlsHandshakes == 2)
            }
        }

        @Test func `keys are changed as often as a client reads our answers`() throws {
            try withServer { server in
                let peer = makePeer(.tls13)
                let client = TestClient(port: server.port, tls: peer)
                for _ in 0..<50 {
                    client.sendRaw(try #require(peer.updateKeys()))
                    #expect(client.ask(TestClient.get("/now")).status == 200)
                }
            }
        }

        @Test func `who makes us answer and never reads holds a bounded amount, and is closed`()
            throws
        {
            try withServer({ $0.socketSendBufferBytes = 4_096 }) { server in
                let peer = makePeer(.tls13)
                let client = TestClient(
                    webSocket: "/ws", port: server.port, receiveBufferBytes: 2_048, tls: peer)
                // A wish for another key takes 27 bytes of ours.
                for _ in 0..<20_000 {
                    guard let update = peer.updateKeys() else { break }
                    client.sendRaw(update)
                    if server.statistics.read().currentWebSocketConnections < 2 { break }
                }
                #expect(server.eventually { $0.statistics.read().currentWebSocketConnections == 1 })
            }
        }

        @Test func `FIN or RST in the middle of a handshake ends it`() throws {
            try withServer { server in
                for isReset in [false, true] {
                    let peer = makePeer()
                    _ = peer.shakeHands()
                    let hello = peer.take()
                    for count in [0, 10, hello.count] {
                        let client = TestClient(port: server.port, tls: nil)
                        client.sendRaw(Array(hello.prefix(count)))
                        _ = server.run { _ in 0 }
                        if isReset {
                            client.reset()
                        } else {
                            client.finishSending()
                            #expect(client.isClosed())
                        }
                    }
                }
                #expect(server.eventually { $0.statistics.read().closedConnections == 6 })
            }
        }

        @Test func `past the budget everybody is closed, without an answer in clear`() throws {
            let server = try TestServer(connectionLimit: 1, tls: Self.certificates.context)
            defer { server.stop() }
            let first = TestClient(port: server.port, tls: makePeer())
            #expect(first.ask(TestClient.get("/now")).status == 200)
            for _ in 0..<5 {
                #expect(TestClient(port: server.port, tls: nil).readToEnd() == "")
            }
            #expect(server.statistics.read().refusedConnections == 5)
            #expect(first.ask(TestClient.get("/now")).status == 200)
        }

        @Test func `draining ends handshakes that are under way, and idle connections politely`()
            throws
        {
            let server = try TestServer(tls: Self.certificates.context) {
                $0.closeTimeoutMilliseconds = 1_000
            }
            defer { server.stop() }
            let idle = TestClient(port: server.port, tls: makePeer())
            #expect(idle.ask(TestClient.get("/now")).status == 200)
            let peer = makePeer()
            _ = peer.shakeHands()
            let midway = TestClient(port: server.port, tls: nil)
            midway.sendRaw(Array(peer.take().prefix(20)))
            #expect(server.eventually { $0.statistics.read().currentTLSConnections == 2 })
            server.run { server in server.withLoop { $0.beginDrain() } }
            #expect(idle.readToEnd() == "")
            #expect(idle.wasToldTheEnd)
            #expect(midway.isClosed())
            #expect(server.eventually { $0.budget.connectionCount == 0 })
        }
    }
}

import Glibc
import Reactor
import Testing

extension ReactorTests {
    /// A load balancer that passes TLS on says first, in clear, who its client is.
    @Suite struct TLSProxyTests {
        private static let version1 = Array("PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n".utf8)
        private static let version2 =
            Array("\r\n\r\n\0\r\nQUIT\n".utf8)
            + [0x21, 0x11, 0, 12, 192, 0, 2, 7, 192, 0, 2, 1, 0x13, 0x88, 0x01, 0xbb]

        private func makeServer(
            _ mode: ProxyMode, _ adjust: (inout LoopSettings) -> Void = { _ in }
        )
            throws -> TestServer
        {
            try TestServer(tls: TestCertificates.shared.context) {
                $0.proxyMode = mode
                $0.trustedProxies = [Network("127.0.0.0/8")!]
                adjust(&$0)
            }
        }

        private func makePeer() -> TLSPeer {
            TLSPeer(authority: TestCertificates.shared.authority, serverName: "test")
        }

        /// Sends `opening`, then the rest of the handshake, asks, and is answered.
        private func isServed(
            _ client: TestClient, as peer: TLSPeer, by server: TestServer,
            openedWith opening: [UInt8],
            cutAt cut: Int
        ) -> Bool {
            client.sendRaw(Array(opening[..<cut]))
            _ = server.run { _ in 0 }  // lets the loop read it alone
            client.sendRaw(Array(opening[cut...]))
            while peer.shakeHands() == .more {
                client.sendRaw(peer.take())
                peer.give(client.readSome())
            }
            client.sendRaw(peer.take() + peer.encrypt(TestClient.get("/later").utf8))
            guard server.eventually({ $0.pending.count == 1 }) else { return false }
            return server.run { server in
                let pending = server.pending.removeFirst()
                var peer: PeerAddress?
                server.withLoop { peer = $0.peer(of: pending.connection) }
                return peer == PeerAddress("192.0.2.7") && server.answer(pending, "ok") == .sent
            } && client.readText(from: peer).hasSuffix("ok")
        }

        @Test(arguments: [ProxyMode.optional, .required], [version1, version2])
        func `the header comes before TLS, wherever both are cut`(mode: ProxyMode, header: [UInt8])
            throws
        {
            let server = try makeServer(mode)
            defer { server.stop() }
            // Through the header, and through the ClientHello in one segment with it.
            for cut in 0...header.count + 12 {
                let peer = makePeer()
                _ = peer.shakeHands()
                let client = TestClient(port: server.port, tls: nil)
                #expect(
                    isServed(
                        client, as: peer, by: server, openedWith: header + peer.take(), cutAt: cut),
                    "cut at \(cut): \(peer.error)")
            }
            let peer = makePeer()  // and alone
            let client = TestClient(port: server.port, tls: nil)
            #expect(
                isServed(
                    client, as: peer, by: server, openedWith: header, cutAt: header.count))
        }

        @Test func `without a header TLS begins at once, where one is optional`() throws {
            let server = try makeServer(.optional)
            defer { server.stop() }
            #expect(
                TestClient(port: server.port, tls: makePeer()).ask(TestClient.get("/now")).body
                    == "/now")
        }

        @Test func `where one is required TLS without it is closed, and so is one within TLS`()
            throws
        {
            let server = try makeServer(.required)
            defer { server.stop() }
            #expect(
                TestClient(port: server.port, tls: makePeer()).ask(TestClient.get("/now")).status
                    == 0)
            let peer = makePeer()
            _ = peer.shakeHands()
            let client = TestClient(port: server.port, tls: nil)
            client.sendRaw(Self.version1 + Self.version2 + peer.take())
            #expect(client.isClosed())
            #expect(server.run { $0.requestedPaths.isEmpty })
        }

        @Test func `a header in clear to a listener that expects none is no ClientHello`() throws {
            let server = try makeServer(.off)
            defer { server.stop() }
            let client = TestClient(port: server.port, tls: nil)
            client.sendRaw(Self.version2)
            #expect(client.isClosed())
            #expect(server.numbers().tlsFailures == 1)
        }

        @Test func `after the header the handshake has its own time`() throws {
            let server = try makeServer(.required) {
                $0.proxyTimeoutMilliseconds = 60_000
                $0.tlsTimeoutMilliseconds = 200
            }
            defer { server.stop() }
            let client = TestClient(port: server.port, tls: nil)
            client.sendRaw(Self.version1)
            #expect(client.isClosed())
            #expect(server.numbers().count(ofLimit: "tls-timeout") == 1)
        }
    }
}

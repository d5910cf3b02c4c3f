import Glibc
import Reactor
import Testing

extension ReactorTests {
    @Suite struct TLSHandshakeTests {
        private static let certificates = TestCertificates.shared

        private func makePeer(
            name: String? = "test", protocols: [String] = [], version: TLSPeer.Version? = nil,
            ciphers: String? = nil, session: TLSSession? = nil
        ) -> TLSPeer {
            TLSPeer(
                authority: Self.certificates.authority, serverName: name, protocols: protocols,
                version: version, ciphers: ciphers, session: session)
        }

        private func isServed(_ peer: TLSPeer, by server: TestServer) -> Bool {
            TestClient(port: server.port, tls: peer).ask(TestClient.get("/now")).body == "/now"
        }

        @Test(arguments: [TLSPeer.Version.tls12, .tls13])
        func `TLS 1.2 and 1.3 are spoken, without compression`(version: TLSPeer.Version) throws {
            let server = try TestServer(tls: Self.certificates.context)
            defer { server.stop() }
            let peer = makePeer(version: version)
            #expect(isServed(peer, by: server))
            #expect(peer.version == version)
            #expect(!peer.compresses)
            let numbers = server.numbers()
            #expect(numbers.tlsHandshakes == 1)
            #expect(numbers.tlsResumptions == 0)
            #expect(numbers.tlsFailures == 0)
        }

        @Test
        func `TLS 1.1 is refused, and so is a cipher without forward secrecy or authentication`()
            throws
        {
            let server = try TestServer(tls: Self.certificates.context)
            defer { server.stop() }
            let old = makePeer(version: .tls11, ciphers: "ALL:@SECLEVEL=0")
            #expect(!isServed(old, by: server))
            #expect(old.error.contains("protocol version"))
            for ciphers in ["ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256", "aNULL:@SECLEVEL=0"] {
                let weak = makePeer(version: .tls12, ciphers: ciphers)
                #expect(!isServed(weak, by: server))
                #expect(weak.error.contains("handshake failure"), "\(ciphers): \(weak.error)")
            }
            #expect(server.eventually { $0.statistics.read().tlsFailures == 4 })
            #expect(server.eventually { $0.statistics.read().currentTLSConnections == 0 })
        }

        @Test(arguments: [TLSPeer.Version.tls12, .tls13])
        func `a handshake is the same wherever its bytes are cut`(version: TLSPeer.Version) throws {
            let server = try TestServer(tls: Self.certificates.context)
            defer { server.stop() }
            var cut = 1
            var isCut = true
            while isCut {
                isCut = false
                let peer = makePeer(version: version)
                let client = TestClient(port: server.port, tls: nil)
                var step = peer.shakeHands()
                while true {
                    let flight = peer.take()
                    isCut = isCut || cut < flight.count
                    client.sendRaw(Array(flight.prefix(cut)))
                    _ = server.run { _ in 0 }  // lets the loop read it alone
                    client.sendRaw(Array(flight.dropFirst(cut)))
                    guard step == .more else { break }
                    peer.give(client.readSome())
                    step = peer.shakeHands()
                }
                #expect(step == .done, "cut at \(cut): \(peer.error)")
                client.sendRaw(peer.encrypt(TestClient.get("/now").utf8))
                #expect(client.readText(from: peer).hasSuffix("/now"), "cut at \(cut)")
                cut += 3
            }
            #expect(cut > 200, "a ClientHello is longer")
        }

        @Test func `a handshake that comes byte by byte is one`() throws {
            let server = try TestServer(tls: Self.certificates.context)
            defer { server.stop() }
            let peer = makePeer()
            let client = TestClient(port: server.port, tls: nil)
            while peer.shakeHands() == .more {
                for byte in peer.take() { client.sendRaw([byte]) }
                peer.give(client.readSome())
            }
            for byte in peer.encrypt(TestClient.get("/now").utf8) { client.sendRaw([byte]) }
            #expect(client.readText(from: peer).hasSuffix("/now"))
        }

        @Test func `a certificate is chosen by name, and the first is everybody else's`() throws {
            let folder = CertificateFolder()
            let context = try TLSContext([
                folder.make("first", alternatives: ["a.test"]),
                folder.make("many", alternatives: ["b.test", "*.c.test"]),
                folder.make("late", alternatives: ["*.c.test", "d.test"]),
            ])
            let server = try TestServer { $0.tls = context }
            defer { server.stop() }
            for (name, certificate) in [
                ("a.test", "first"), ("b.test", "many"), ("x.c.test", "many"), ("d.test", "late"),
                ("D.TEST", "late"),
            ] {
                let peer = TLSPeer(authority: folder.authority, serverName: name)
                #expect(isServed(peer, by: server), "\(name): \(peer.error)")
                #expect(peer.serverCertificateName == certificate, "\(name)")
            }
            // Whoever wants another name is shown the first, and goes away.
            for name in ["e.test", "c.test", "x.y.c.test"] {
                let peer = TLSPeer(authority: folder.authority, serverName: name)
                #expect(!isServed(peer, by: server))
                #expect(peer.error.contains("certificate verify failed"), "\(name): \(peer.error)")
            }
            let nameless = TLSPeer(authority: folder.authority)
            #expect(isServed(nameless, by: server))
            #expect(nameless.serverCertificateName == "first")
        }

        @Test func `of protocols it takes http 1.1, and from who has others none`() throws {
            let server = try TestServer(tls: Self.certificates.context)
            defer { server.stop() }
            for protocols in [
                ["http/1.1"], ["h2", "http/1.1"], ["spdy/3", "h3", "http/1.1", "h2"],
            ] {
                let peer = makePeer(protocols: protocols)
                #expect(isServed(peer, by: server))
                #expect(peer.agreedProtocol == "http/1.1")
            }
            let silent = makePeer()
            #expect(isServed(silent, by: server))
            #expect(silent.agreedProtocol == nil)
            for protocols in [["h2"], ["http/1.0"], ["http/1.1x", "HTTP/1.1"]] {
                let peer = makePeer(protocols: protocols)
                #expect(!isServed(peer, by: server))
                #expect(peer.error.contains("no application protocol"), "\(peer.error)")
            }
        }

        @Test(arguments: [TLSPeer.Version.tls12, .tls13])
        func `a session is resumed, also by another loop`(version: TLSPeer.Version) throws {
            let server = try TestServer(tls: Self.certificates.context)
            defer { server.stop() }
            let other = try TestServer(tls: Self.certificates.context)
            defer { other.stop() }
            let first = makePeer(version: version)
            #expect(isServed(first, by: server))
            let session = try #require(first.session())
            let again = makePeer(version: version, session: session)
            #expect(isServed(again, by: server))
            #expect(again.isResumed)
            #expect(server.numbers().tlsResumptions == 1)
            let next = try #require(again.session(), "a ticket is for once, and brings another")
            let elsewhere = makePeer(version: version, session: next)
            #expect(isServed(elsewhere, by: other))
            #expect(elsewhere.isResumed)
        }

        @Test func `the key of tickets changes, and the one before it still opens them`() throws {
            let folder = CertificateFolder()
            let context = try TLSContext([folder.make("test")], ticketPeriodSeconds: 2)
            let server = try TestServer { $0.tls = context }
            defer { server.stop() }
            func visit(_ session: TLSSession?) -> TLSPeer {
                let peer = TLSPeer(
                    authority: folder.authority, serverName: "test", session: session)
                #expect(isServed(peer, by: server))
                return peer
            }
            var session: TLSSession?
            var isResumed = false
            // Half a second of the session is left with the new key: once more where the machine
            // was held up for longer.
            for _ in 0..<10 where !isResumed {
                usleep(1_000_000)
                session = visit(nil).session()
                usleep(1_500_000)
                isResumed = visit(session).isResumed
            }
            #expect(isResumed)
            usleep(2_500_000)  // two keys later, and past its time
            #expect(!visit(session).isResumed)
        }

        @Test func `a handshake that takes too long is ended, however it moves`() throws {
            let server = try TestServer(tls: Self.certificates.context) {
                $0.tlsTimeoutMilliseconds = 1_500
            }
            defer { server.stop() }
            let silent = TestClient(port: server.port, tls: nil)
            let peer = makePeer()
            _ = peer.shakeHands()
            let hello = peer.take()
            let slow = TestClient(port: server.port, tls: nil)
            let patient = TestClient(port: server.port, tls: nil)
            patient.sendRaw(hello)  // and never says more
            for byte in hello.prefix(60) {
                slow.sendRaw([byte])
                usleep(30_000)
            }
            #expect(slow.isClosed())
            #expect(silent.isClosed())
            #expect(patient.isClosed())
            let numbers = server.numbers()
            #expect(numbers.count(ofLimit: "tls-timeout") == 3)
            #expect(numbers.currentTLSConnections == 0)
            #expect(isServed(makePeer(), by: server))
        }

        @Test func `after its handshake a connection has all the time of an idle one`() throws {
            let server = try TestServer(tls: Self.certificates.context) {
                $0.tlsTimeoutMilliseconds = 1_500
                $0.idleTimeoutMilliseconds = 60_000
            }
            defer { server.stop() }
            let client = TestClient(port: server.port, tls: makePeer())
            #expect(client.isQuiet(forMilliseconds: 2_000))
            #expect(client.ask(TestClient.get("/now")).body == "/now")
        }

        @Test func `a storm of handshakes is served to the last, and those who are there as well`()
            throws
        {
            let server = try TestServer(tls: Self.certificates.context)
            defer { server.stop() }
            let early = TestClient(webSocket: "/ws", port: server.port, tls: makePeer())
            let peers = (0..<200).map { _ in makePeer() }
            let clients = peers.map { peer in
                let client = TestClient(port: server.port, tls: nil)
                _ = peer.shakeHands()
                return client
            }
            for (client, peer) in zip(clients, peers) { client.sendRaw(peer.take()) }
            early.send(TestClient.text("still served"))
            #expect(early.readFrame()?.text == "still served")
            for (client, peer) in zip(clients, peers) {
                peer.give(client.readSome())
                #expect(peer.shakeHands() == .done)
                client.sendRaw(peer.take() + peer.encrypt(TestClient.get("/now").utf8))
                #expect(client.readText(from: peer).hasSuffix("/now"))
            }
            #expect(server.numbers().tlsHandshakes == 201)
        }
    }
}

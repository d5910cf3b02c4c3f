import Glibc
import Reactor
import Testing

extension ReactorTests {
    /// `POLLSTREAM_TEST_TRANSPORT=tls` runs all other tests over TLS, too; these are about what TLS adds.
    @Suite struct TLSTrafficTests {
        private static let certificates = TestCertificates.shared

        private func makePeer(_ version: TLSPeer.Version? = nil) -> TLSPeer {
            TLSPeer(
                authority: Self.certificates.authority, serverName: "test", version: version)
        }

        /// A connection whose bytes the test carries.
        private func connect(_ peer: TLSPeer, to server: TestServer) -> TestClient {
            let client = TestClient(port: server.port, tls: nil)
            while peer.shakeHands() == .more {
                client.sendRaw(peer.take())
                peer.give(client.readSome())
            }
            client.sendRaw(peer.take())
            return client
        }

        @Test func `a request is the same wherever its records are cut`() throws {
            let server = try TestServer(tls: Self.certificates.context)
            defer { server.stop() }
            let request = Array(
                "POST /now HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello".utf8)
            let peer = makePeer()
            let client = connect(peer, to: server)
            let recordBytes = peer.encrypt(request)
            client.sendRaw(recordBytes)
            #expect(client.readText(from: peer).hasSuffix("hello"))
            for cut in 1..<recordBytes.count {  // the bytes of one record, in two segments
                let record = peer.encrypt(request)
                client.sendRaw(Array(record[..<cut]))
                _ = server.run { _ in 0 }
                client.sendRaw(Array(record[cut...]))
                #expect(client.readText(from: peer).hasSuffix("hello"), "cut at \(cut)")
            }
            for cut in 1..<request.count {  // the request, in two records
                client.sendRaw(peer.encrypt(request[..<cut]))
                if cut % 2 == 0 { _ = server.run { _ in 0 } }
                client.sendRaw(peer.encrypt(request[cut...]))
                #expect(client.readText(from: peer).hasSuffix("hello"), "cut at \(cut)")
            }
            for byte in request { client.sendRaw(peer.encrypt([byte])) }
            #expect(client.readText(from: peer).hasSuffix("hello"))
        }

        @Test func `large bodies and answers pass in many records`() throws {
            let server = try TestServer(tls: Self.certificates.context) {
                $0.bodyBytes = 1 << 20
                $0.outboxBytes = 2 << 20
            }
            defer { server.stop() }
            let body = (0..<100_000).map { "\($0 % 10)" }.joined()
            for version in [TLSPeer.Version.tls12, .tls13] {
                let client = TestClient(port: server.port, tls: makePeer(version))
                let request =
                    "POST /now HTTP/1.1\r\nHost: t\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
                for _ in 0..<3 { #expect(client.ask(request + body).body == body) }
            }
        }

        @Test func `who says that it has finished still gets its answer, and is told the end`()
            throws
        {
            let server = try TestServer(tls: Self.certificates.context)
            defer { server.stop() }
            let client = TestClient(port: server.port, tls: makePeer())
            client.send(TestClient.get("/later"))
            client.finishSending()
            #expect(server.eventually { $0.pending.count == 1 })
            #expect(client.isQuiet(forMilliseconds: 50))
            server.run { _ = $0.answer($0.pending[0], "still there") }
            #expect(client.readToEnd().hasSuffix("still there"))
            #expect(client.wasToldTheEnd)
        }

        @Test func `close_notify alone ends a direction, without FIN`() throws {
            let server = try TestServer(tls: Self.certificates.context)
            defer { server.stop() }
            let peer = makePeer()
            let client = connect(peer, to: server)
            client.sendRaw(peer.encrypt(TestClient.get("/now").utf8) + peer.finish())
            let text = client.readText(from: peer, untilItEnds: true)
            #expect(text.hasSuffix("/now"))
            #expect(peer.read() == .end)
        }

        @Test func `we say close_notify before FIN, whoever closes`() throws {
            let server = try TestServer(tls: Self.certificates.context) {
                $0.idleTimeoutMilliseconds = 2_000
            }
            defer { server.stop() }
            let asked = TestClient(port: server.port, tls: makePeer())
            asked.send(TestClient.get("/close"))
            #expect(asked.readToEnd().hasSuffix("/close"))
            #expect(asked.wasToldTheEnd)
            let idle = TestClient(port: server.port, tls: makePeer())
            #expect(idle.readToEnd() == "")
            #expect(idle.wasToldTheEnd)
            let socket = TestClient(webSocket: "/ws", port: server.port, tls: makePeer())
            server.run { server in server.withLoop { $0.close(server.sockets[0], code: 1001) } }
            #expect(socket.readFrame()?.closeCode == 1001)
            socket.send(TestClient.frame(8, [3, 233]))
            #expect(socket.readToEnd() == "")
            #expect(socket.wasToldTheEnd)
        }

        @Test func `a new certificate is for new handshakes, and no socket is lost`() throws {
            let folder = CertificateFolder()
            let first = try TLSContext([folder.make("old", alternatives: ["test"])])
            let server = try TestServer { $0.tls = first }
            defer { server.stop() }
            func makePeer() -> TLSPeer {
                TLSPeer(authority: folder.authority, serverName: "test")
            }
            let viewer = TestClient(webSocket: "/topic", port: server.port, tls: makePeer())
            // Half of a handshake: it ends with what it began with.
            let midway = makePeer()
            let client = TestClient(port: server.port, tls: nil)
            _ = midway.shakeHands()
            let hello = midway.take()
            client.sendRaw(Array(hello.prefix(50)))
            #expect(server.eventually { $0.statistics.read().currentTLSConnections == 2 })
            for round in 1...20 {
                let next = try TLSContext([folder.make("new \(round)", alternatives: ["test"])])
                server.run { server in
                    server.publishTally("t\(round)")
                    server.withLoop { $0.use(next) }
                }
                #expect(viewer.readFrame()?.text == "t\(round)")
                let newcomer = makePeer()
                let visit = TestClient(port: server.port, tls: newcomer)
                #expect(visit.ask(TestClient.get("/now")).body == "/now")
                #expect(newcomer.serverCertificateName == "new \(round)")
                usleep(50_000)  // a tick
            }
            client.sendRaw(Array(hello.dropFirst(50)))
            midway.give(client.readSome())
            #expect(midway.shakeHands() == .done)
            #expect(midway.serverCertificateName == "old")
            client.sendRaw(midway.take() + midway.encrypt(TestClient.get("/now").utf8))
            #expect(client.readText(from: midway).hasSuffix("/now"))
            viewer.send(TestClient.text("ok"))
            #expect(viewer.readFrame()?.text == "ok")
        }

        @Test func `a subscriber that stops reading holds a record, and then gets the newest`()
            throws
        {
            let server = try TestServer(tls: Self.certificates.context) {
                $0.tickNanoseconds = 1_000_000
            }
            defer { server.stop() }
            let slow = TestClient(
                webSocket: "/topic", port: server.port, receiveBufferBytes: 4096, tls: makePeer())
            let padding = String(repeating: "x", count: 3_000)
            func publish(_ numbers: ClosedRange<Int>) {
                for number in numbers {
                    server.run { $0.publishTally("\(number) \(padding)") }
                    usleep(1_200)
                }
            }
            publish(1...100)
            #expect(server.numbers().blockedSends > 0)
            let before = server.run { _ in heapBytesInUse() }
            publish(101...600)
            let grown = server.run { _ in heapBytesInUse() } - before
            #expect(grown < 32 << 10, "\(grown) bytes for 500 tallies of 3,000")
            let numbers = slow.readFrames { $0.hasPrefix("600 ") }
                .compactMap { Int($0.prefix { $0 != " " }) }
            #expect(numbers == numbers.sorted())
            #expect(numbers.last == 600)
            #expect(numbers.count < 100)
            #expect(slow.isQuiet(forMilliseconds: 100))
            let sums = server.numbers()
            #expect(sums.framesOwed == sums.framesSent + sums.framesConflated)
        }

        @Test func `a frame larger than a record is never torn by a newer one`() throws {
            let server = try TestServer(tls: Self.certificates.context) {
                $0.tickNanoseconds = 1_000_000
            }
            defer { server.stop() }
            let slow = TestClient(
                webSocket: "/topics", port: server.port, receiveBufferBytes: 4096, tls: makePeer())
            let padding = String(repeating: "x", count: 50_000)
            for number in 1...40 {
                server.run { server in
                    server.publishTally("a\(number) \(padding)", on: 0)
                    server.publishTally("b\(number) \(padding)", on: 1)
                }
                usleep(1_200)
            }
            var newest = ["a": 0, "b": 0]
            while newest != ["a": 40, "b": 40], let frame = slow.readFrame() {
                let word = frame.text.prefix { $0 != " " }
                let number = Int(word.dropFirst())!
                #expect(number > newest[String(word.prefix(1))]!, "never back")
                #expect(frame.payload.count == word.utf8.count + 1 + 50_000)
                newest[String(word.prefix(1))] = number
            }
            #expect(newest == ["a": 40, "b": 40])
        }

        @Test func `an idle subscriber costs at most 16 KiB of memory`() throws {
            let count = 256
            let server = try TestServer(tls: Self.certificates.context)
            defer { server.stop() }
            server.run { $0.keepsNotes = false }
            // What a client holds for itself is of this process, too: it lets go of it, but not of
            // its socket.
            func subscribe() -> Int32 {
                let client = TestClient(webSocket: "/topic", port: server.port, tls: makePeer())
                return withExtendedLifetime(client) { dup(client.descriptor) }
            }
            var sockets: [Int32] = (0..<32).map { _ in subscribe() }
            let before = server.run { _ in heapBytesInUse() }
            for _ in 0..<count { sockets.append(subscribe()) }
            let grown = server.run { _ in heapBytesInUse() } - before
            #expect(server.numbers().currentTLSConnections == UInt64(32 + count))
            #expect(grown / count <= 16 << 10, "\(grown / count) bytes each")
            for socket in sockets { close(socket) }
            #expect(server.eventually { $0.statistics.read().currentTLSConnections == 0 })
        }
    }
}

import Glibc
import Reactor
import Testing

extension ReactorTests {
    /// Ballast makes memory short, at three quarters of the bound, or full.
    @Suite struct MemoryBoundTests {
        private static let bound = 1 << 20
        private static let short = bound * 3 / 4

        private func withServer(
            _ adjust: (inout LoopSettings) -> Void = { _ in }, _ body: (TestServer) throws -> Void
        ) throws {
            let server = try TestServer(bufferLimit: UInt64(Self.bound)) {
                $0.closeTimeoutMilliseconds = 30_000
                adjust(&$0)
            }
            defer { server.stop() }
            let witness = TestClient(webSocket: "/topic", port: server.port)
            try body(server)
            // Who only listens has noticed nothing.
            server.run { $0.publishTally("still here") }
            #expect(witness.readFrame()?.text == "still here")
        }

        private func shed(_ name: String, on server: TestServer) -> UInt64 {
            server.numbers().shed.first { $0.name == name }?.count ?? 0
        }

        private func head(_ path: String, bodyBytes: Int, fields: String = "") -> String {
            "POST \(path) HTTP/1.1\r\nHost: t\r\nContent-Length: \(bodyBytes)\r\n\(fields)\r\n"
        }

        private func bytes(_ count: Int) -> String { String(repeating: "x", count: count) }

        /// What comes whole, or is as small as a vote, is served whatever else is.
        private func expectSmallThingsAreServed(
            by server: TestServer, _ client: TestClient, _ socket: TestClient
        ) {
            #expect(client.ask(TestClient.get("/now")).body == "/now")
            #expect(client.ask(head("/now", bodyBytes: 4) + "vote").body == "vote")
            socket.send(TestClient.text("small"))
            #expect(socket.readFrame()?.text == "small")
            socket.send(TestClient.frame(9, [1, 2, 3]))
            #expect(socket.readFrame()?.payload == [1, 2, 3])
        }

        /// - Returns: once the server has read it.
        private func send(_ text: String, from client: TestClient, to server: TestServer) {
            let before = server.numbers().bytesReceived
            client.send(text)
            #expect(
                server.eventually {
                    $0.statistics.read().bytesReceived >= before + UInt64(text.utf8.count)
                })
        }

        @Test func `unfinished bodies get 503 while memory is short, and are taken afterwards`()
            throws
        {
            try withServer { server in
                let client = TestClient(port: server.port)
                let socket = TestClient(webSocket: "/ws", port: server.port)
                server.hold(Self.short)
                let uploads = (0..<3).map { _ in TestClient(port: server.port) }
                for upload in uploads {
                    upload.send(head("/never", bodyBytes: 60_000) + bytes(50_000))
                    let answer = upload.readAnswer()
                    #expect(answer.status == 503)
                    #expect(answer.head.contains("Connection: close\r\n"))
                    // What was under way is thrown away, and what it might look like is not done.
                    upload.send(bytes(10_000) + TestClient.get("/never"))
                    upload.finishSending()
                    #expect(upload.readToEnd() == "")
                }
                expectSmallThingsAreServed(by: server, client, socket)
                send(head("/now", bodyBytes: 4) + "vo", from: client, to: server)
                client.send("te")
                #expect(client.readAnswer().body == "vote")
                #expect(shed("requests", on: server) == 3)
                #expect(server.numbers().count(ofLimit: "buffer-bytes") == 3)
                #expect(server.run { $0.refusals } == [503, 503, 503])
                #expect(server.numbers().malformedRequests == 0)

                server.run { $0.ballast = nil }
                let upload = TestClient(port: server.port)
                send(head("/now", bodyBytes: 60_000) + bytes(50_000), from: upload, to: server)
                #expect(server.budget.bufferBytes > 50_000)
                upload.send(bytes(10_000))
                #expect(upload.readAnswer().body == bytes(60_000))
                #expect(!server.run { $0.requestedPaths.contains("/never") })
            }
        }

        @Test func `a body that waits to be asked for is told 503 before it is sent`() throws {
            try withServer { server in
                server.hold(Self.short)
                let client = TestClient(port: server.port)
                client.send(
                    head("/never", bodyBytes: 60_000, fields: "Expect: 100-continue\r\n"))
                #expect(client.readAnswer().status == 503)
                let chunked = TestClient(port: server.port)
                chunked.send(
                    "POST /never HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nea60\r\n"
                        + bytes(50_000))
                #expect(chunked.readAnswer().status == 503)
                #expect(shed("requests", on: server) == 2)
            }
        }

        @Test func `a body that has its buffer is finished, one that grows is not`() throws {
            try withServer { server in
                // Of 16 KiB, and of 64.
                let (small, large) = (TestClient(port: server.port), TestClient(port: server.port))
                send(head("/now", bodyBytes: 14_000) + bytes(9_000), from: small, to: server)
                send(head("/never", bodyBytes: 60_000) + bytes(9_000), from: large, to: server)
                server.hold(Self.short)
                small.send(bytes(5_000))
                #expect(small.readAnswer().body == bytes(14_000))
                large.send(bytes(30_000))
                #expect(large.readAnswer().status == 503)
            }
        }

        @Test func `unfinished messages are closed with 1013 while memory is short`() throws {
            try withServer { server in
                let client = TestClient(port: server.port)
                let socket = TestClient(webSocket: "/ws", port: server.port)
                server.hold(Self.short)
                let half = TestClient(webSocket: "/ws", port: server.port)
                half.send(Array(TestClient.text(bytes(60_000)).prefix(50_000)))
                #expect(half.readFrame()?.closeCode == 1013)
                let fragments = TestClient(webSocket: "/ws", port: server.port)
                fragments.send(TestClient.text("before"))
                for _ in 0..<10 { fragments.send(TestClient.text(bytes(1), fin: false)) }
                #expect(fragments.readFrame()?.text == "before")
                #expect(fragments.readFrame()?.closeCode == 1002)  // two beginnings
                let large = TestClient(webSocket: "/ws", port: server.port)
                large.send(TestClient.text(bytes(3_000), fin: false))
                large.send(TestClient.frame(0, Array(bytes(3_000).utf8), fin: false))
                #expect(large.readFrame()?.closeCode == 1013)
                expectSmallThingsAreServed(by: server, client, socket)
                socket.send(TestClient.text("in ", fin: false))
                socket.send(TestClient.frame(0, Array("two".utf8)))
                #expect(socket.readFrame()?.text == "in two")
                #expect(shed("messages", on: server) == 2)

                server.run { $0.ballast = nil }
                let bytesOfFrame = TestClient.text(bytes(60_000))
                socket.send(Array(bytesOfFrame.prefix(50_000)))
                socket.send(Array(bytesOfFrame.dropFirst(50_000)))
                #expect(socket.readFrame()?.payload.count == 60_000)
            }
        }

        @Test func `requests that wait for their turn are served in order while memory is short`()
            throws
        {
            try withServer { server in
                server.hold(Self.short)
                let client = TestClient(port: server.port)
                client.send(
                    TestClient.get("/later")
                        + (0..<10).map { TestClient.get("/\($0)") }.joined())
                #expect(server.eventually { $0.pending.count == 1 })
                #expect(client.isQuiet())
                server.run { _ = $0.answer($0.pending[0], "first") }
                #expect(client.readAnswer().body == "first")
                for number in 0..<10 { #expect(client.readAnswer().body == "/\(number)") }
                #expect(shed("requests", on: server) == 0)
            }
        }

        /// Reads nothing, so that answers pile up, and sends nothing more.
        @Test func `whose reading had to wait is read again when there is memory`() throws {
            try withServer { server in
                server.hold(Self.short)
                let count = 100  // 3.5 KB, which may wait
                let client = TestClient(port: server.port, receiveBufferBytes: 2_048)
                client.send(String(repeating: TestClient.get("/large"), count: count))
                #expect(server.eventually { $0.statistics.read().currentBlockedConnections == 1 })
                var waiting = requests(of: server)
                while true {
                    usleep(300_000)
                    let now = requests(of: server)
                    if now == waiting { break }
                    waiting = now
                }
                let paused = waiting
                #expect(paused < count)
                #expect(Int(server.budget.bufferBytes) < Self.bound)
                server.run { $0.ballast = nil }
                #expect(server.eventually { self.requests(of: $0, onLoop: true) > paused })
                for number in 0..<count {
                    let answer = client.readAnswer()
                    #expect(answer.body.utf8.count == 64 << 10, "answer \(number)")
                }
                #expect(server.eventually { $0.budget.bufferBytes < 200_000 })
            }
        }

        private func requests(of server: TestServer, onLoop: Bool = false) -> Int {
            let numbers = onLoop ? server.statistics.read() : server.numbers()
            return Int(numbers.requests) - 1  // the witness
        }

        @Test func `whoever comes while memory is full is turned away, and served afterwards`()
            throws
        {
            try withServer { server in
                let client = TestClient(port: server.port)
                let socket = TestClient(webSocket: "/ws", port: server.port)
                let unfinished = TestClient(webSocket: "/ws", port: server.port)
                #expect(client.ask(TestClient.get("/now")).status == 200)
                server.hold(Self.bound)
                for _ in 0..<3 {
                    let stranger = TestClient(port: server.port, tls: nil)
                    #expect(stranger.readToEnd().hasSuffix(TestTransport.isTLS ? "" : "full"))
                }
                #expect(shed("connections", on: server) == 3)
                #expect(server.numbers().refusedConnections == 3)
                #expect(server.budget.connectionCount == 4)
                expectSmallThingsAreServed(by: server, client, socket)
                // Now not even a little is kept.
                unfinished.send(Array(TestClient.text("whole").prefix(4)))
                #expect(unfinished.readFrame()?.closeCode == 1013)
                client.send(String(head("/now", bodyBytes: 4).prefix(10)))
                #expect(client.readAnswer().status == 503)
                server.run { $0.ballast = nil }
                #expect(
                    TestClient(port: server.port).ask(TestClient.get("/now")).status == 200)
            }
        }

        @Test func `operators are answered while memory is full`() throws {
            let server = try TestServer(bufferLimit: 100_000)
            defer { server.stop() }
            server.hold(100_000)
            let operations = TestClient(descriptor: connectIPv6(server.opsPort), tls: nil)
            send(head("/now", bodyBytes: 9_000) + bytes(8_000), from: operations, to: server)
            operations.send(bytes(1_000))
            #expect(operations.readAnswer().body == bytes(9_000))
        }

        @Test func `while memory is full who takes nothing of much is let go, and nobody else`()
            throws
        {
            try withServer { server in
                let client = TestClient(port: server.port)
                let socket = TestClient(webSocket: "/ws", port: server.port)
                #expect(client.ask(TestClient.get("/now")).status == 200)
                let greedy = TestClient(port: server.port, receiveBufferBytes: 2_048)
                greedy.send(String(repeating: TestClient.get("/large"), count: 100))
                #expect(server.eventually { $0.statistics.read().currentBlockedConnections == 1 })
                server.hold(Self.bound)
                #expect(server.eventually { $0.statistics.read().currentBlockedConnections == 0 })
                #expect(greedy.isClosed())
                #expect(shed("readers", on: server) == 1)
                expectSmallThingsAreServed(by: server, client, socket)
            }
        }

        @Test func `while memory is full answers do not pile up for who takes none`() throws {
            try withServer { server in
                let greedy = TestClient(port: server.port, receiveBufferBytes: 2_048)
                greedy.send(String(repeating: TestClient.get("/later"), count: 60))
                #expect(server.eventually { $0.pending.count == 60 })
                // More than any kernel keeps for it, which fills the memory.
                let (most, text) = (bytes(16 << 20), bytes(15_000))
                let results = server.run { server in
                    [server.answer(server.pending[0], most)]
                        + server.pending.dropFirst().map { server.answer($0, text) }
                }
                #expect(results.first == .sent)
                #expect(results.dropFirst().allSatisfy { $0 == .gone })
                #expect(shed("readers", on: server) == 1)
                #expect(greedy.isClosed())
            }
        }

        @Test func `what comes behind a stream while memory is short ends its connection with it`()
            throws
        {
            try withServer { server in
                let client = TestClient(port: server.port)
                client.send(TestClient.get("/stream"))
                #expect(server.eventually { $0.streams.count == 1 })
                server.hold(Self.short)
                send(
                    String(repeating: TestClient.get("/never"), count: 300), from: client,
                    to: server)
                server.run { server in
                    _ = server.write(Array("last".utf8), to: server.streams[0])
                    server.withLoop { $0.endStream(server.streams[0]) }
                }
                #expect(client.readToEnd().hasSuffix("4\r\nlast\r\n0\r\n\r\n"))
                #expect(!server.run { $0.requestedPaths.contains("/never") })
            }
        }

        @Test func `half a message is not kept for long while memory is short`() throws {
            try withServer { server in
                let half = TestClient(webSocket: "/ws", port: server.port)
                half.send(Array(TestClient.text(bytes(60_000)).prefix(50_000)))
                let fragments = TestClient(webSocket: "/ws", port: server.port)
                fragments.send(TestClient.text(bytes(3_000), fin: false))
                let client = TestClient(port: server.port)
                let socket = TestClient(webSocket: "/ws", port: server.port)
                #expect(server.eventually { $0.budget.bufferBytes > 60_000 })
                server.hold(Self.short)
                // Pongs do not count.
                for _ in 0..<12 {
                    fragments.send(TestClient.frame(10, []))
                    expectSmallThingsAreServed(by: server, client, socket)
                    sleep(1)
                }
                #expect(half.isClosed())
                #expect(fragments.isClosed())
                #expect(shed("messages", on: server) == 2)
            }
        }

        @Test func `a record that is not whole is held, and not while memory is full`() throws {
            let server = try TestServer(
                bufferLimit: UInt64(Self.bound), tls: TestCertificates.shared.context)
            defer { server.stop() }
            func makePeer() -> TLSPeer {
                TLSPeer(authority: TestCertificates.shared.authority, serverName: "test")
            }
            let recordBytes: UInt64 = 16 << 10
            // Who shakes hands holds one, too.
            let hello = TestClient(port: server.port, tls: nil)
            hello.sendRaw([0x16, 3, 1])
            #expect(server.eventually { $0.budget.bufferBytes > recordBytes })
            hello.reset()
            #expect(server.eventually { $0.budget.connectionCount == 0 })

            let peer = makePeer()
            let client = TestClient(port: server.port, tls: peer)
            #expect(client.ask(TestClient.get("/now")).status == 200)
            #expect(server.eventually { $0.budget.bufferBytes < recordBytes })
            // Cut within its header, behind it, and in its body.
            for cut in [3, 5, 20] {
                let record = peer.encrypt(TestClient.get("/now").utf8)
                client.sendRaw(Array(record[..<cut]))
                #expect(server.eventually { $0.budget.bufferBytes > recordBytes }, "\(cut)")
                client.sendRaw(Array(record[cut...]))
                #expect(client.readAnswer().status == 200)
                #expect(server.eventually { $0.budget.bufferBytes < recordBytes }, "\(cut)")
            }
            server.hold(Self.bound)
            #expect(client.ask(TestClient.get("/now")).status == 200)
            client.sendRaw(Array(peer.encrypt(TestClient.get("/now").utf8)[..<20]))
            #expect(client.isClosed())
            #expect(shed("requests", on: server) == 1)
        }

        private func connectIPv6(_ port: UInt16) -> Int32 {
            let descriptor = socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            address.sin6_addr = in6addr_loopback
            let result = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
            precondition(result == 0, "cannot connect: \(errno)")
            return descriptor
        }
    }
}

import Glibc
import Reactor
import Testing

extension ReactorTests {
    @Suite struct DeadlineTests {
        @Test func `a head that does not end gets 408`() throws {
            let server = try TestServer { $0.headerTimeoutMilliseconds = 200 }
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send("GET /now HTTP/1.1\r\nHos")
            #expect(client.readAnswer().status == 408)
            #expect(client.readToEnd() == "")
            #expect(server.run { $0.refusals } == [408])
        }

        @Test func `a loop that is late for its own work counts that time`() throws {
            let server = try TestServer { $0.headerTimeoutMilliseconds = 5_000 }
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send("GET /now HTTP/1.1\r\nHos")
            #expect(server.eventually { $0.budget.connectionCount == 1 })
            // Turns of two seconds: a fiftieth of what the ticks between them would count.
            for _ in 0..<4 where server.run({ $0.refusals }).isEmpty {
                server.run { _ in work(forNanoseconds: 2_000_000_000) }
                usleep(150_000)
            }
            #expect(server.eventually { $0.refusals == [408] })
            #expect(client.readAnswer().status == 408)
            #expect(server.statistics.read().longestTurnNanoseconds > 1_900_000_000)
        }

        /// Of the processor, that is: others may have it meanwhile.
        private func work(forNanoseconds amount: Int) {
            func used() -> Int {
                var time = timespec()
                clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
                return time.tv_sec * 1_000_000_000 + time.tv_nsec
            }
            let end = used() + amount
            while used() < end {}
        }

        @Test func `a body that does not end gets 408`() throws {
            let server = try TestServer { $0.bodyTimeoutMilliseconds = 200 }
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send("POST /now HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nabc")
            #expect(client.readAnswer().status == 408)
            #expect(client.readToEnd() == "")
        }

        @Test func `an idle connection is closed without a word, a waiting one is not`() throws {
            let server = try TestServer { $0.idleTimeoutMilliseconds = 1_000 }
            defer { server.stop() }
            let silent = TestClient(port: server.port)
            let waiting = TestClient(port: server.port)
            waiting.send(TestClient.get("/later"))
            let kept = TestClient(port: server.port)
            #expect(kept.ask(TestClient.get("/now")).status == 200)
            #expect(silent.readToEnd() == "")
            #expect(kept.readToEnd() == "")
            #expect(waiting.isQuiet(forMilliseconds: 1_000))
            server.run { _ = $0.answer($0.pending[0], "patience") }
            #expect(waiting.readAnswer().body == "patience")
        }

        @Test func `a deadline that moves later is kept`() throws {
            let server = try TestServer { $0.idleTimeoutMilliseconds = 2_000 }
            defer { server.stop() }
            let client = TestClient(port: server.port)
            for _ in 0..<4 {
                #expect(client.ask(TestClient.get("/now")).status == 200)
                usleep(750_000)
            }
            #expect(client.readToEnd() == "")
        }

        @Test func `who answers pings stays, who is silent goes`() throws {
            let server = try TestServer { $0.pingPeriodMilliseconds = 1_000 }
            defer { server.stop() }
            let silent = TestClient(webSocket: "/ws", port: server.port)
            let healthy = TestClient(webSocket: "/ws", port: server.port)
            var pings = 0
            while pings < 4, let frame = healthy.readFrame() {
                if frame.opcode == 9 {
                    pings += 1
                    healthy.send(TestClient.frame(10, frame.payload))
                }
            }
            #expect(pings == 4)
            #expect(server.eventually { $0.closed == [$0.sockets[0]] })
            #expect(silent.isClosed())
            #expect(server.statistics.read().count(ofLimit: "ping-period") == 1)
        }

        @Test func `who takes no byte for two ping periods is closed, and not before`() throws {
            let server = try TestServer { $0.pingPeriodMilliseconds = 400 }
            defer { server.stop() }
            let client = TestClient(
                webSocket: "/topic", port: server.port, receiveBufferBytes: 2048)
            let text = String(repeating: "x", count: 60_000)
            let began = server.run { server -> UInt64 in
                for _ in 0..<4 { _ = server.send(text, to: server.sockets[0]) }
                var now: UInt64 = 0
                server.withLoop { now = $0.nowNanoseconds }
                return now
            }
            #expect(server.eventually { $0.closed.count == 1 })
            let ended = server.run { server -> UInt64 in
                var now: UInt64 = 0
                server.withLoop { now = $0.nowNanoseconds }
                return now
            }
            #expect(ended - began >= 800_000_000)
            #expect(server.statistics.read().count(ofLimit: "not-reading") == 1)
            #expect(client.isClosed())
        }
    }
}

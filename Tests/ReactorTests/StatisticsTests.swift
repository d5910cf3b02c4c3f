import Glibc
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct StatisticsTests {
        private func unixMilliseconds() -> Int64 {
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            return Int64(now.tv_sec) * 1_000 + Int64(now.tv_nsec) / 1_000_000
        }

        @Test func `bounds ascend from 50 microseconds to 10 seconds`() {
            let bounds = Durations.boundsNanoseconds
            #expect(bounds.first == 50_000)
            #expect(bounds.last == 10_000_000_000)
            #expect(zip(bounds, bounds.dropFirst()).allSatisfy(<))
        }

        @Test func `the oldest ballot of conflated tallies is the one that is measured`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let clients = (0..<3).map { _ in TestClient(webSocket: "/topic", port: server.port) }
            let now = unixMilliseconds()
            server.run { server in
                for age: Int64 in [3_000, 20, 10] {
                    server.topics[0].publishTally(server.frame("t"), ballotAt: now - age)
                }
            }
            for client in clients { #expect(client.readFrame()?.text == "t") }
            let measured = server.numbers().voteToFrame
            #expect(measured.count == 1)
            #expect((3_000_000_000..<120_000_000_000).contains(measured.totalNanoseconds))
        }

        @Test func `a tally without an arrival, and one without a viewer, are not measured`() throws
        {
            let server = try TestServer()
            defer { server.stop() }
            let now = unixMilliseconds()
            server.run { $0.topics[0].publishTally($0.frame("nobody"), ballotAt: now) }
            let client = TestClient(webSocket: "/topic", port: server.port)
            server.run { $0.topics[0].publishTally($0.frame("t")) }
            #expect(client.readFrame()?.text == "t")
            let numbers = server.numbers()
            #expect(numbers.voteToFrame.count == 0)
            #expect(numbers.sweepDurations.count == 1)
        }

        @Test func `a tick that is kept does not stretch, one that is missed does`() throws {
            let server = try TestServer { $0.tickNanoseconds = 20_000_000 }
            defer { server.stop() }
            let client = TestClient(webSocket: "/topic", port: server.port)
            server.run { $0.publishTally("t0") }
            #expect(client.readFrame()?.text == "t0")
            server.run { $0.publishTally("t1") }
            // The loop sleeps through the time at which t1 was due.
            server.run { _ in usleep(300_000) }
            #expect(client.readFrame()?.text == "t1")
            let stretches = server.numbers().tickStretches
            #expect(stretches.count == 2)
            #expect(stretches.totalNanoseconds >= 200_000_000)
        }

        @Test func `turns and lags tell of a loop that was held up`() throws {
            let server = try TestServer()
            defer { server.stop() }
            #expect(server.eventually { $0.statistics.read().lags.count >= 2 })
            server.run { _ in usleep(400_000) }
            #expect(server.eventually { $0.statistics.read().lags.totalNanoseconds >= 250_000_000 })
            let turns = server.numbers().turns
            #expect(turns.totalNanoseconds >= 400_000_000)
            #expect(turns.counts.last == 0)
        }

        @Test func `answers are counted by class, operators' own are not`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            #expect(client.ask(TestClient.get("/now")).status == 200)
            client.send(TestClient.get("/missing"))
            #expect(client.readAnswer(hasBody: false).status == 204)
            #expect(TestClient(port: server.port).ask("nonsense\r\n\r\n").status == 400)
            _ = TestClient(webSocket: "/ws", port: server.port)
            #expect(server.numbers().responses == [0, 1, 2, 0, 1, 0])
            #expect(server.numbers().requests == 3)
        }

        @Test func `each limit is counted under its own name`() throws {
            let server = try TestServer {
                $0.bodyBytes = 10
                $0.headerTimeoutMilliseconds = 2_000
                $0.requestLineBytes = 100
                $0.headBytes = 1_000
                $0.headerFieldCount = 10
                $0.messageBytes = 200
            }
            defer { server.stop() }
            let long = String(repeating: "x", count: 200)
            func status(_ request: String) -> Int {
                TestClient(port: server.port).ask(request).status
            }
            #expect(status("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n") == 413)
            #expect(status(TestClient.get("/" + long)) == 414)
            let fields = String(repeating: "A: b\r\n", count: 12)
            #expect(status(TestClient.get("/", fields: fields)) == 431)
            let wide = (0..<8).map { "F\($0): \(long)\r\n" }.joined()
            #expect(status(TestClient.get("/", fields: wide)) == 431)
            #expect(status("GET / HTTP/1.1\r\n") == 408)
            let client = TestClient(webSocket: "/ws", port: server.port)
            client.send(TestClient.text(long + "x"))
            #expect(client.isClosed())
            let hit = server.numbers().limits.filter { $0.count > 0 }
            #expect(
                hit.map(\.name) == [
                    "request-line-bytes", "head-bytes", "header-fields", "body-bytes",
                    "message-bytes", "header-timeout",
                ])
            #expect(hit.allSatisfy { $0.count == 1 })
        }

        @Test func `what is closing is told apart until it is gone`() throws {
            let server = try TestServer { $0.closeTimeoutMilliseconds = 1_000 }
            defer { server.stop() }
            let client = TestClient(webSocket: "/ws", port: server.port)
            server.run { server in
                server.withLoop { $0.close(server.sockets[0], code: 1000, reason: "") }
            }
            let closing = server.numbers()
            #expect(closing.currentWebSocketConnections == 1)
            #expect(closing.currentClosingConnections.webSocket == 1)
            #expect(server.eventually { $0.statistics.read().currentWebSocketConnections == 0 })
            let after = server.numbers()
            #expect(after.currentClosingConnections.webSocket == 0)
            #expect(after.count(ofLimit: "close-timeout") == 1)
            #expect(client.readFrame()?.opcode == 8)
        }

        @Test func `who does not read is blocked until it reads`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(
                webSocket: "/topic", port: server.port, receiveBufferBytes: 2_048)
            let text = String(repeating: "x", count: 60_000)
            server.run { server in
                for _ in 0..<4 { _ = server.send(text, to: server.sockets[0]) }
            }
            #expect(server.eventually { $0.statistics.read().currentBlockedConnections == 1 })
            for _ in 0..<4 { #expect(client.readFrame()?.text == text) }
            #expect(server.eventually { $0.statistics.read().currentBlockedConnections == 0 })
        }

        @Test func `several loops add up, and the longest of all is the longest`() throws {
            let servers = [try TestServer(), try TestServer()]
            defer { for server in servers { server.stop() } }
            for server in servers {
                #expect(TestClient(port: server.port).ask(TestClient.get("/now")).status == 200)
            }
            servers[1].run { _ in usleep(50_000) }
            let parts = servers.map { $0.numbers() }
            let sum = LoopStatistics(adding: parts)
            #expect(sum.requests == 2)
            #expect(sum.turns.count == parts[0].turns.count + parts[1].turns.count)
            let longest = parts.map(\.longestTurnNanoseconds).max()
            #expect(sum.longestTurnNanoseconds == longest)
        }
    }
}

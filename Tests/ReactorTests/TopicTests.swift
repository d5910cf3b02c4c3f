import Glibc
import Reactor
import Testing

extension ReactorTests {
    @Suite struct TopicTests {
        private func withViewers(
            _ count: Int, of path: String = "/topic",
            _ adjust: @escaping (inout LoopSettings) -> Void = { _ in },
            _ body: (TestServer, [TestClient]) throws -> Void
        ) throws {
            let server = try TestServer(adjust)
            defer { server.stop() }
            let clients = (0..<count).map { _ in TestClient(webSocket: path, port: server.port) }
            try body(server, clients)
            checkSums(server)
        }

        /// Whoever reads has got everything, so nothing is still owed.
        private func checkSums(_ server: TestServer) {
            #expect(Self.owesNothing(server.numbers()))
        }

        private static func owesNothing(_ numbers: LoopStatistics) -> Bool {
            numbers.framesOwed
                == numbers.framesSent + numbers.framesConflated + numbers.framesDropped
        }

        @Test func `every subscriber gets a tally`() throws {
            try withViewers(300, { $0.sweepSliceCount = 32 }) { server, clients in
                server.run { $0.publishTally("t1") }
                for client in clients { #expect(client.readFrame()?.text == "t1") }
                let numbers = server.numbers()
                #expect(numbers.framesOwed == 300)
                #expect(numbers.framesSent == 300)
                #expect(numbers.sweeps == 1)
            }
        }

        @Test func `of many tallies within a tick the first and the newest go`() throws {
            try withViewers(3) { server, clients in
                server.run { $0.publishTally("t0") }
                for client in clients { #expect(client.readFrame()?.text == "t0") }
                server.run { server in for index in 1...50 { server.publishTally("t\(index)") } }
                for client in clients {
                    #expect(client.readFrame()?.text == "t50")
                    #expect(client.isQuiet(forMilliseconds: 100))
                }
                #expect(server.numbers().framesConflated == 3 * 49)
            }
        }

        @Test func `sweeps of a topic are a tick apart, and the last change goes`() throws {
            let tick: UInt64 = 100_000_000
            try withViewers(1, { $0.tickNanoseconds = tick }) { server, clients in
                var began: UInt64 = 0
                began = server.run { server in
                    server.publishTally("t0")
                    var now: UInt64 = 0
                    server.withLoop { now = $0.nowNanoseconds }
                    return now
                }
                for index in 1...100 {
                    server.run { $0.publishTally("t\(index)") }
                    usleep(5_000)
                }
                let texts = clients[0].readFrames { $0 == "t100" }
                let ended = server.run { server in
                    var now: UInt64 = 0
                    server.withLoop { now = $0.nowNanoseconds }
                    return now
                }
                #expect(texts.last == "t100")
                #expect(texts.count <= Int((ended - began) / tick) + 1)
                #expect(texts.count >= 2)
            }
        }

        @Test func `a state waits for no tick and takes the waiting tally along`() throws {
            try withViewers(2, { $0.tickNanoseconds = 2_000_000_000 }) { server, clients in
                server.run { $0.publishTally("t0") }
                for client in clients { #expect(client.readFrame()?.text == "t0") }
                server.run { server in
                    server.publishTally("t1")
                    server.topics[0].publishState(
                        server.frame("s1"), snapshot: server.frame("all1"), supersedesTally: false)
                }
                for client in clients {
                    #expect(client.readFrame()?.text == "t1")
                    #expect(client.readFrame()?.text == "s1")
                }
            }
        }

        @Test func `a state that supersedes the tally replaces it`() throws {
            try withViewers(2, { $0.tickNanoseconds = 300_000_000 }) { server, clients in
                server.run { $0.publishTally("t0") }
                for client in clients { #expect(client.readFrame()?.text == "t0") }
                server.run { server in
                    server.publishTally("t1")
                    server.topics[0].publishState(
                        server.frame("final+closed"), snapshot: server.frame("all"),
                        supersedesTally: true)
                }
                for client in clients {
                    #expect(client.readFrame()?.text == "final+closed")
                    #expect(client.isQuiet(forMilliseconds: 500))
                }
                #expect(server.numbers().framesConflated == 2)
            }
        }

        @Test func `who missed more than one state gets the snapshot`() throws {
            try withViewers(1) { server, clients in
                server.run { server in
                    for index in 1...2 {
                        server.topics[0].publishState(
                            server.frame("s\(index)"), snapshot: server.frame("all\(index)"),
                            supersedesTally: true)
                    }
                    server.publishTally("t1")
                    server.topics[0].publishViewers(server.frame("v1"))
                }
                #expect(clients[0].readFrame()?.text == "all2")
                #expect(clients[0].readFrame()?.text == "t1")
                #expect(clients[0].readFrame()?.text == "v1")
            }
        }

        @Test func `a newcomer is owed nothing of what was published before`() throws {
            try withViewers(1) { server, clients in
                server.run { $0.publishTally("t1") }
                #expect(clients[0].readFrame()?.text == "t1")
                let newcomer = TestClient(webSocket: "/topic", port: server.port)
                #expect(newcomer.isQuiet())
                server.run { $0.publishTally("t2") }
                #expect(newcomer.readFrame()?.text == "t2")
                #expect(clients[0].readFrame()?.text == "t2")
            }
        }

        @Test func `what several topics and the handler have for one connection leaves at once`()
            throws
        {
            try withViewers(1, of: "/topics") { server, clients in
                let sends = server.numbers().sends
                server.run { server in
                    _ = server.send("ack", to: server.sockets[0])
                    server.publishTally("a", on: 0)
                    server.publishTally("b", on: 1)
                }
                #expect(clients[0].readFrame()?.text == "ack")
                #expect(clients[0].readFrame()?.text == "a")
                #expect(clients[0].readFrame()?.text == "b")
                #expect(server.numbers().sends == sends + 1)
            }
        }

        @Test func `a subscriber of a hundred topics gets all of them in one turn`() throws {
            let server = try TestServer(topicCount: 100)
            defer { server.stop() }
            let client = TestClient(webSocket: "/ws", port: server.port)
            server.run { server in
                for topic in server.topics { _ = topic.subscribe(server.sockets[0]) }
            }
            let sends = server.numbers().sends
            server.run { server in
                for (index, topic) in server.topics.enumerated() {
                    topic.publishViewers(server.frame("v\(index)"))
                    topic.publishTally(server.frame("t\(index)"))
                }
            }
            let texts = (0..<200).compactMap { _ in client.readFrame()?.text }
            #expect(texts == (0..<100).flatMap { ["t\($0)", "v\($0)"] })
            #expect(client.isQuiet())
            #expect(server.numbers().sends < sends + 5)
            checkSums(server)
        }

        @Test func `a blocked subscriber gets the newest of each topic when it reads`() throws {
            let server = try TestServer { $0.tickNanoseconds = 1_000_000 }
            defer { server.stop() }
            let slow = TestClient(
                webSocket: "/topics", port: server.port, receiveBufferBytes: 4096)
            let quick = TestClient(webSocket: "/topics", port: server.port)
            let padding = String(repeating: "x", count: 20_000)
            for index in 1...60 {
                server.run { server in
                    server.publishTally("a\(index) \(padding)", on: 0)
                    server.publishTally("b\(index) \(padding)", on: 1)
                }
                #expect(quick.readFrame() != nil)
                #expect(quick.readFrame() != nil)
            }
            #expect(server.numbers().blockedSends > 0)
            var newest: [String: Int] = ["a": 0, "b": 0]
            var count = 0
            while newest["a"] != 60 || newest["b"] != 60, let frame = slow.readFrame() {
                let word = frame.text.prefix { $0 != " " }
                let number = Int(word.dropFirst())!
                #expect(number > newest[String(word.prefix(1))]!, "never back")
                newest[String(word.prefix(1))] = number
                count += 1
            }
            #expect(newest == ["a": 60, "b": 60])
            #expect(count < 60)
            #expect(slow.isQuiet())
            checkSums(server)
        }

        @Test func `a busy topic never costs a blocked subscriber its connection`() throws {
            let server = try TestServer {
                $0.tickNanoseconds = 1_000_000
                $0.outboxBytes = 4_096
            }
            defer { server.stop() }
            let slow = TestClient(
                webSocket: "/topic", port: server.port, receiveBufferBytes: 2048)
            let text = String(repeating: "x", count: 3_000)
            for index in 1...200 {
                server.run { $0.publishTally("\(index) \(text)") }
                usleep(1_500)
            }
            #expect(server.numbers().blockedSends > 0)
            #expect(server.run { $0.send("ack", to: $0.sockets[0]) } == .sent)
            let texts = slow.readFrames { $0.hasPrefix("200 ") }
            #expect(texts.contains("ack"))
            #expect(texts.last?.hasPrefix("200 ") == true)
            #expect(server.numbers().framesConflated > 0)
            #expect(server.numbers().count(ofLimit: "outbox-bytes") == 0)
        }

        @Test func `subscribers that leave during a sweep cost nobody a frame`() throws {
            try withViewers(400, { $0.sweepSliceCount = 16 }) { server, clients in
                for round in 1...5 {
                    server.run { $0.publishTally("t\(round)") }
                    // The sweep takes 25 turns: these run between its slices.
                    for step in 0..<8 {
                        let index = (round - 1) * 72 + step * 9
                        server.run { server in
                            #expect(server.topics[0].unsubscribe(server.sockets[index]))
                        }
                    }
                    // The next one comes when nobody is owed this one: none takes another's place.
                    #expect(server.eventually { Self.owesNothing($0.statistics.read()) })
                }
                let gone = Set((0..<5).flatMap { round in (0..<8).map { round * 72 + $0 * 9 } })
                for (index, client) in clients.enumerated() where !gone.contains(index) {
                    let texts = client.readFrames { $0 == "t5" }
                    #expect(texts == ["t1", "t2", "t3", "t4", "t5"], "viewer \(index)")
                }
            }
        }

        @Test func `what was published before a close leaves before it`() throws {
            try withViewers(1) { server, clients in
                server.run { server in
                    server.topics[0].publishState(
                        server.frame("deleted"), snapshot: server.frame("all"),
                        supersedesTally: true)
                    server.withLoop { $0.close(server.sockets[0], code: 4404) }
                }
                #expect(clients[0].readFrame()?.text == "deleted")
                #expect(clients[0].readFrame()?.closeCode == 4404)
            }
        }

        @Test func `subscribing has its limit`() throws {
            let server = try TestServer(topicCount: 3) { $0.subscriptionCount = 2 }
            defer { server.stop() }
            let client = TestClient(webSocket: "/topic", port: server.port)
            server.run { server in
                let id = server.sockets[0]
                #expect(server.topics[0].subscribe(id) == .alreadySubscribed)
                #expect(server.topics[1].subscribe(id) == .subscribed)
                #expect(server.topics[2].subscribe(id) == .tooMany)
                #expect(server.topics[0].unsubscribe(id))
                #expect(!server.topics[0].unsubscribe(id))
                #expect(server.topics[2].subscribe(id) == .subscribed)
                #expect(server.topics[1].has(id) && !server.topics[0].has(id))
                server.withLoop { #expect($0.subscriptionCount(of: id) == 2) }
            }
            client.reset()
            #expect(server.eventually { $0.statistics.read().currentSubscriptions == 0 })
        }
    }
}

import Glibc
import Reactor
import Testing

extension ReactorTests {
    @Suite struct StreamTests {
        @Test func `a chunked stream ends whole, and the connection goes on`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send(TestClient.get("/stream") + TestClient.get("/now"))
            #expect(client.readHead().contains("Transfer-Encoding: chunked\r\n"))
            #expect(client.readText(11) == "6\r\nfirst;\r\n")
            server.run { server in
                #expect(server.write(Array("second".utf8), to: server.streams[0]) == .sent)
                server.withLoop { $0.endStream(server.streams[0]) }
                #expect(server.write([1], to: server.streams[0]) == .gone)
            }
            #expect(client.readText(16) == "6\r\nsecond\r\n0\r\n\r\n")
            #expect(client.readAnswer().body == "/now")
        }

        /// What was known of requests behind the oldest is freed where a stream begins.
        @Test func `answers wait for their turn again after a stream`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            let pair = TestClient.get("/later") + TestClient.get("/later")
            client.send(pair)
            #expect(server.eventually { $0.pending.count == 2 })
            server.run { server in
                #expect(server.answer(server.pending[0], "first") == .sent)
                let second = server.pending[1]
                server.withLoop {
                    #expect(
                        $0.stream(
                            to: second.connection, sequence: second.sequence,
                            head: Response(status: 200, body: []), framing: .chunked, ping: ":"))
                    $0.endStream(second.connection)
                }
            }
            #expect(client.readAnswer().body == "first")
            #expect(client.readHead().contains("Transfer-Encoding: chunked\r\n"))
            #expect(client.readText(5) == "0\r\n\r\n")
            client.send(pair)
            #expect(server.eventually { $0.pending.count == 4 })
            server.run { server in
                #expect(server.answer(server.pending[3], "fourth") == .sent)
                #expect(server.answer(server.pending[2], "third") == .sent)
            }
            #expect(client.readAnswer().body == "third")
            #expect(client.readAnswer().body == "fourth")
        }

        @Test func `a raw stream ends with the connection`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send(TestClient.get("/raw"))
            #expect(client.readHead().contains("Connection: close\r\n"))
            server.run { server in
                _ = server.write(Array("last".utf8), to: server.streams[0])
                server.withLoop { $0.endStream(server.streams[0]) }
            }
            #expect(client.readToEnd() == "first;last")
            client.finishSending()
            #expect(server.eventually { $0.closed == $0.streams })
        }

        @Test func `a full stream waits, and is told when there is room`() throws {
            let server = try TestServer {
                $0.outboxBytes = 64 << 10
                $0.socketSendBufferBytes = 8 << 10
            }
            defer { server.stop() }
            let client = TestClient(port: server.port, receiveBufferBytes: 4096)
            client.send(TestClient.get("/raw"))
            #expect(client.readHead().hasPrefix("HTTP/1.1 200"))
            let piece = [UInt8](repeating: 120, count: 10_000)
            let pieces = server.run { server -> Int in
                for count in 1...1_000
                where server.write(piece, to: server.streams[0]) == .full { return count }
                return 0
            }
            #expect(pieces > 6)
            #expect(pieces < 1_000)
            #expect(client.isQuiet() == false)
            #expect(server.run { $0.writableCount } == 0)
            #expect(client.readText(6 + pieces * piece.count)?.hasPrefix("first;xxx") == true)
            #expect(server.eventually { $0.writableCount == 1 })
            #expect(server.run { $0.write(piece, to: $0.streams[0]) } == .sent)
        }

        @Test func `a writer that does not wait loses its stream, not our memory`() throws {
            let server = try TestServer { $0.outboxBytes = 16 << 10 }
            defer { server.stop() }
            let client = TestClient(port: server.port, receiveBufferBytes: 2048)
            client.send(TestClient.get("/raw"))
            #expect(server.eventually { $0.streams.count == 1 })
            let piece = [UInt8](repeating: 120, count: 10_000)
            let results = server.run { server in
                (0..<100).map { _ in server.write(piece, to: server.streams[0]) }
            }
            #expect(results.last == .gone)
            #expect(server.eventually { $0.closed.count == 1 })
        }

        @Test func `a silent stream gets its ping`() throws {
            let server = try TestServer { $0.pingPeriodMilliseconds = 200 }
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send(TestClient.get("/events"))
            _ = client.readHead()
            #expect(client.readText(6 + 3 * 6) == "first;:ping;:ping;:ping;")
        }

        @Test func `a topic serves a raw stream, and its end is noticed`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send(TestClient.get("/events"))
            _ = client.readHead()
            server.run { server in
                server.withLoop {
                    server.topics[0].publishTally(Frame(raw: Array("data: 1\n\n".utf8), on: $0))
                }
            }
            #expect(client.readText(15) == "first;data: 1\n\n")
            client.finishSending()
            #expect(server.eventually { $0.closed == $0.streams })
            #expect(server.run { $0.topics[0].subscriberCount } == 0)
        }

        @Test func `HEAD of a stream has no body`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send("HEAD /stream HTTP/1.1\r\nHost: t\r\n\r\n" + TestClient.get("/now"))
            #expect(client.readHead().hasPrefix("HTTP/1.1 200"))
            server.run { server in
                _ = server.write([65], to: server.streams[0])
                server.withLoop { $0.endStream(server.streams[0]) }
            }
            #expect(client.readAnswer().body == "/now")
        }
    }
}

import Glibc
import Reactor
import Testing

extension ReactorTests {
    @Suite struct HTTPTests {
        @Test func `a connection is kept for the next request`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            for path in ["/now", "/now/2", "/now/3"] {
                let answer = client.ask(TestClient.get(path))
                #expect(answer.status == 200)
                #expect(answer.body == path)
                #expect(answer.head.contains("\r\nDate: "))
                #expect(answer.head.contains("\r\nContent-Type: text/plain\r\n"))
                #expect(!answer.head.contains("Connection:"))
            }
        }

        @Test func `a hundred pipelined requests are answered in order`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send((0..<100).map { TestClient.get("/now/\($0)") }.joined())
            for index in 0..<100 { #expect(client.readAnswer().body == "/now/\(index)") }
        }

        @Test func `answers given out of order leave in order`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send((0..<4).map { _ in TestClient.get("/later") }.joined())
            #expect(server.eventually { $0.pending.count == 4 })
            server.run { server in
                for index in [2, 3, 1] { _ = server.answer(server.pending[index], "\(index)") }
            }
            #expect(client.isQuiet())
            server.run { server in
                #expect(server.answer(server.pending[0], "0") == .sent)
                #expect(server.answer(server.pending[0], "again") == .gone)
            }
            for index in 0..<4 { #expect(client.readAnswer().body == "\(index)") }
            #expect(client.ask(TestClient.get("/now")).status == 200)
        }

        @Test func `reading stops at the pipeline limit and goes on after it`() throws {
            let server = try TestServer { $0.pipelineCount = 4 }
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send((0..<10).map { _ in TestClient.get("/later") }.joined())
            #expect(server.eventually { $0.pending.count == 4 })
            #expect(client.isQuiet())
            #expect(server.run { $0.pending.count } == 4)
            for index in 0..<10 {
                #expect(server.eventually { $0.pending.count > index })
                server.run { _ = $0.answer($0.pending[index], "\(index)") }
                #expect(client.readAnswer().body == "\(index)")
            }
        }

        @Test func `who pipelines and never reads holds a bounded amount`() throws {
            let server = try TestServer { $0.outboxBytes = 16 << 10 }
            defer { server.stop() }
            let client = TestClient(port: server.port, receiveBufferBytes: 4096)
            let request = TestClient.get("/now/" + String(repeating: "x", count: 2_000))
            var timeout = timeval(tv_sec: 1, tv_usec: 0)
            setsockopt(
                client.descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout,
                socklen_t(MemoryLayout<timeval>.size))
            client.send(String(repeating: request, count: 10_000))  // ends when nothing is taken
            let answered = server.run { $0.requestedPaths.count }
            #expect(answered < 5_000)
            #expect(client.readAnswer().status == 200)
        }

        @Test func `a request that comes byte by byte is whole in the end`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            for byte in "POST /now HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello".utf8 {
                client.send([byte])
                _ = server.run { _ in 0 }  // lets the loop read it alone
            }
            #expect(client.readAnswer().body == "hello")
            #expect(client.ask(TestClient.get("/now")).body == "/now")
        }

        @Test func `a chunked body is put together wherever it is cut`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let request = Array(
                ("POST /now HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: 1\r\n\r\n"
                    + TestClient.get("/now/next")).utf8)
            for cut in stride(from: 1, to: request.count, by: 3) {
                let client = TestClient(port: server.port)
                client.send(Array(request[..<cut]))
                _ = server.run { _ in 0 }
                client.send(Array(request[cut...]))
                #expect(client.readAnswer().body == "hello world", "cut at \(cut)")
                #expect(client.readAnswer().body == "/now/next", "cut at \(cut)")
            }
        }

        @Test func `HEAD and 204 have no body`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send("HEAD /now HTTP/1.1\r\nHost: test\r\n\r\n")
            let head = client.readAnswer(hasBody: false)
            #expect(head.status == 200)
            #expect(head.head.contains("Content-Length: 4\r\n"))
            let missing = client.ask(TestClient.get("/missing"))
            #expect(missing.status == 204)
            #expect(!missing.head.contains("Content-Length"))
            #expect(client.ask(TestClient.get("/now")).body == "/now")
        }

        @Test func `100 is offered for a body that may come, and not for one that may not`() throws
        {
            let server = try TestServer { $0.bodyBytes = 10 }
            defer { server.stop() }
            let head = "POST /now HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n"
            let client = TestClient(port: server.port)
            client.send(head + "Content-Length: 5\r\n\r\n")
            #expect(client.readHead() == "HTTP/1.1 100 Continue\r\n\r\n")
            #expect(client.ask("hello").body == "hello")

            let greedy = TestClient(port: server.port)
            #expect(greedy.ask(head + "Content-Length: 11\r\n\r\n").status == 413)
            #expect(greedy.readToEnd() == "")

            let wrong = TestClient(port: server.port)
            #expect(wrong.ask(head + "Content-Length: five\r\n\r\n").status == 400)
        }

        @Test func `100 waits for the answers before it`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send(
                TestClient.get("/later")
                    + "POST /now HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
            )
            #expect(server.eventually { $0.pending.count == 1 })
            #expect(client.isQuiet())
            server.run { _ = $0.answer($0.pending[0], "first") }
            #expect(client.readAnswer().body == "first")
            #expect(client.readHead().hasPrefix("HTTP/1.1 100 "))
            #expect(client.ask("ok").body == "ok")
        }

        @Test func `FIN after a request does not cost its answer`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send(TestClient.get("/later"))
            client.finishSending()
            #expect(server.eventually { $0.pending.count == 1 })
            #expect(client.isQuiet())
            server.run { _ = $0.answer($0.pending[0], "still there") }
            #expect(client.readToEnd().hasSuffix("still there"))
        }

        @Test func `a request cut off by FIN is never executed`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send(
                "POST /now HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            client.finishSending()
            #expect(client.readToEnd() == "")
            #expect(server.run { $0.requestedPaths.isEmpty })
        }

        @Test func `after a refusal nothing later is executed`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send(
                TestClient.get("/later") + "GET / HTTP/1.1\nHost: bare\n\n" + TestClient.get("/now")
            )
            #expect(server.eventually { $0.refusals == [400] })
            client.send(TestClient.get("/now/more"))
            #expect(client.isQuiet())
            server.run { _ = $0.answer($0.pending[0], "first") }
            #expect(client.readAnswer().body == "first")
            let refusal = client.readAnswer()
            #expect(refusal.status == 400)
            #expect(refusal.head.contains("Connection: close\r\n"))
            #expect(client.readToEnd() == "")
            #expect(server.run { $0.requestedPaths } == ["/later"])
            #expect(server.statistics.read().malformedRequests == 1)
        }

        @Test func `a refusal arrives although its sender goes on sending`() throws {
            let server = try TestServer { $0.bodyBytes = 100 }
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send("POST /now HTTP/1.1\r\nHost: t\r\nContent-Length: 300000\r\n\r\n")
            client.send([UInt8](repeating: 65, count: 300_000))
            #expect(client.readAnswer().status == 413)
        }

        @Test func `Connection close is obeyed from either side`() throws {
            let server = try TestServer()
            defer { server.stop() }
            let client = TestClient(port: server.port)
            client.send(
                TestClient.get("/now", fields: "Connection: close\r\n") + TestClient.get("/now"))
            let text = client.readToEnd()
            #expect(text.contains("Connection: close\r\n"))
            #expect(text.components(of: "HTTP/1.1 200") == 1)
            let other = TestClient(port: server.port)
            other.send(TestClient.get("/close") + TestClient.get("/now"))
            #expect(other.readToEnd().components(of: "HTTP/1.1 200") == 1)
            let old = TestClient(port: server.port)
            old.send("GET /now HTTP/1.0\r\n\r\n")
            #expect(old.readToEnd().hasSuffix("/now"))
        }

        @Test func `who has unanswered requests is missed when it goes`() throws {
            let server = try TestServer()
            defer { server.stop() }
            var client: TestClient? = TestClient(port: server.port)
            client?.send(TestClient.get("/later") + TestClient.get("/later"))
            #expect(server.eventually { $0.pending.count == 2 })
            client?.reset()
            client = nil
            #expect(server.eventually { $0.closed.count == 1 })
            #expect(server.run { $0.answer($0.pending[0], "late") } == .gone)
        }
    }
}

extension String {
    /// How often `part` occurs.
    func components(of part: String) -> Int {
        var count = 0
        var rest = self[...]
        while let range = rest.firstRange(of: part) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}

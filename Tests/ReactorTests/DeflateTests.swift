import CZlib
import Glibc
import Reactor
import TestRandom
import Testing

extension ReactorTests {
    /// permessage-deflate (RFC 7692): the client's side is zlib itself, with the largest window.
    @Suite struct DeflateTests {
        private static let limit = 4_096

        private func withEcho(
            fields: String = TestClient.offersDeflate, compressAbove: UInt32? = 100,
            _ body: (TestServer, TestClient) throws -> Void
        ) throws {
            let server = try TestServer {
                $0.compressAboveBytes = compressAbove
                $0.messageBytes = UInt64(Self.limit)
            }
            defer { server.stop() }
            try body(server, TestClient(webSocket: "/ws", port: server.port, fields: fields))
        }

        private func compressed(_ opcode: UInt8, _ bytes: [UInt8]) -> [UInt8] {
            TestClient.frame(opcode, deflated(bytes), compressed: true)
        }

        private func closeCode(after bytes: [UInt8]) throws -> Int? {
            var code: Int?
            try withEcho { server, client in
                client.send(bytes)
                while let frame = client.readFrame() { code = frame.closeCode ?? code }
                client.finishSending()
                #expect(server.eventually { $0.closed.count == 1 })
                #expect(server.numbers().currentDeflatingConnections == 0)
            }
            return code
        }

        @Test func `an offer is answered without takeover on either side`() throws {
            let plain =
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
            try withEcho { server, client in
                #expect(client.agreedExtensions == plain)
                #expect(server.numbers().currentDeflatingConnections == 1)
            }
            let windowed = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12"
            try withEcho(fields: windowed + "\r\n") { _, client in
                #expect(client.agreedExtensions == plain + "; server_max_window_bits=9")
            }
        }

        @Test func `it is declined where it is off, not offered, or not to be had`() throws {
            try withEcho(compressAbove: nil) { _, client in #expect(client.agreedExtensions == nil)
            }
            let tooSmall = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8"
            for fields in ["", tooSmall + "\r\n"] {
                try withEcho(fields: fields) { server, client in
                    #expect(client.agreedExtensions == nil)
                    client.send(TestClient.text(String(repeating: "a", count: 1_000)))
                    #expect(client.readFrame()?.isCompressed == false)
                    // Nobody agreed on RSV1.
                    client.send(compressed(1, Array("hello".utf8)))
                    #expect(client.readFrame()?.closeCode == 1002)
                }
            }
        }

        @Test func `messages come back whole, and compressed where they are large`() throws {
            try withEcho { server, client in
                for count in [0, 1, 100, 101, 500, 4_096] {
                    let text = String(repeating: "täglich ", count: 512).utf8.prefix(count)
                    let binary = [UInt8](text)
                    client.send(compressed(2, binary))
                    let frame = client.readFrame()
                    #expect(frame?.opcode == 2)
                    #expect(frame?.isCompressed == (count > 100), "\(count) bytes")
                    let payload = frame?.payload ?? []
                    #expect((count > 100 ? inflated(payload) : payload) == binary)
                    #expect(payload.count <= count)
                }
                // What is not compressed is taken as well, and so is what cannot be made shorter.
                var random = SeededGenerator(seed: 1)
                let noise = (0..<2_000).map { _ in UInt8(random.below(256)) }
                client.send(TestClient.frame(2, noise))
                #expect(client.readFrame() == .init(opcode: 2, payload: noise))
                client.send(compressed(2, noise))
                #expect(client.readFrame() == .init(opcode: 2, payload: noise))
                #expect(server.numbers().messagesInflated == 7)
                #expect(server.numbers().messagesDeflated == 3)
            }
        }

        @Test func `a compressed message may come in fragments, with a ping between`() throws {
            try withEcho { _, client in
                let text = String(repeating: "fragments ", count: 40)
                let bytes = deflated(Array(text.utf8))
                for cut in 0...bytes.count {
                    client.send(
                        TestClient.frame(1, Array(bytes[..<cut]), fin: false, compressed: true)
                            + TestClient.frame(9, [7]) + TestClient.frame(0, Array(bytes[cut...])))
                    #expect(client.readFrame() == .init(opcode: 10, payload: [7]))
                    #expect(client.readFrame()?.text == text)
                }
            }
        }

        @Test func `final blocks may be followed by others`() throws {
            try withEcho { _, client in
                let one = deflated(Array("one, ".utf8), flush: Z_FINISH)
                let two = deflated(Array("two".utf8))
                client.send(TestClient.frame(1, one, compressed: true))
                #expect(client.readFrame()?.text == "one, ")
                client.send(TestClient.frame(1, one.dropLast() + two, compressed: true))
                #expect(client.readFrame()?.text == "one, two")
            }
        }

        @Test func `RSV1 belongs on the first frame of a message alone`() throws {
            let bytes = deflated(Array("hello".utf8))
            #expect(
                try closeCode(
                    after: TestClient.text("hel", fin: false)
                        + TestClient.frame(0, bytes, compressed: true)) == 1002)
            for opcode in [8, 9, 10] as [UInt8] {
                let frame = TestClient.frame(opcode, [], compressed: true)
                #expect(try closeCode(after: frame) == 1002)
            }
        }

        @Test func `what expands past the limit is refused`() throws {
            let limit = Self.limit
            for count in [limit + 1, 2 * limit, 1 << 20] {
                let bomb = compressed(2, [UInt8](repeating: 7, count: count))
                #expect(try closeCode(after: bomb) == 1009)
            }
            // Nothing at all, in as many blocks as there is room for.
            let nothing = [UInt8](repeating: 0, count: 5 * 800).enumerated().map {
                [0, 0, 0, 0xff, 0xff][$0.offset % 5] as UInt8
            }
            try withEcho { _, client in
                client.send(TestClient.frame(2, nothing + [0], compressed: true))
                #expect(client.readFrame() == .init(opcode: 2, payload: []))
            }
        }

        @Test func `what cannot be expanded is refused`() throws {
            let text = Array(String(repeating: "hello hello ", count: 20).utf8)
            let whole = deflated(text)
            let bad: [[UInt8]] = [
                [], [0xff, 0xff, 0xff], Array(whole.dropLast(2)), whole + [1],
                // Points back into a message before it, which nobody remembers.
                deflated(text, after: text),
                // A final block without the empty one behind it.
                deflated(text, flush: Z_FINISH).dropLast(),
            ]
            for bytes in bad {
                let code = try closeCode(after: TestClient.frame(1, bytes, compressed: true))
                #expect(code == 1007, "\(bytes)")
            }
            #expect(try closeCode(after: compressed(1, [0xc3, 0x28])) == 1007)
        }

        @Test func `a frame is compressed once, for all who take it so`() throws {
            let server = try TestServer { $0.compressAboveBytes = 100 }
            defer { server.stop() }
            let clients = (0..<8).map { index in
                TestClient(
                    webSocket: "/topics", port: server.port,
                    fields: index % 2 == 0 ? TestClient.offersDeflate : "")
            }
            let large = String(repeating: "large ", count: 100)
            server.run { server in
                server.publishTally(large)
                server.publishTally("small", on: 1)
            }
            for (index, client) in clients.enumerated() {
                let frames = client.readFrames(until: { $0 == "small" })
                #expect(frames == [large, "small"], "client \(index)")
            }
            let numbers = server.numbers()
            #expect(numbers.messagesDeflated == 1)
            #expect(numbers.bytesBeforeDeflate == 600)
            #expect(numbers.bytesAfterDeflate < 60)
            #expect(numbers.framesSent == 16)
            // A state of several messages: each is compressed, or not, by itself.
            server.run { server in
                var messages: [UInt8] = []
                for text in [large, "closed"] {
                    Array(text.utf8).withUnsafeBytes { Frame.append(text: $0, to: &messages) }
                }
                server.withLoop { loop in
                    let frame = Frame(messages: messages, on: loop)
                    server.topics[0].publishState(frame, snapshot: frame, supersedesTally: true)
                }
            }
            for (index, client) in clients.enumerated() {
                let first = client.readFrame()
                #expect(first?.isCompressed == (index % 2 == 0))
                #expect(first?.text == large)
                #expect(client.readFrame() == .init(opcode: 1, payload: Array("closed".utf8)))
            }
            #expect(server.numbers().messagesDeflated == 2)
        }

        @Test func `nobody pays where nobody takes it`() throws {
            let server = try TestServer { $0.compressAboveBytes = 100 }
            defer { server.stop() }
            let client = TestClient(webSocket: "/topic", port: server.port)
            server.run { $0.publishTally(String(repeating: "large ", count: 100)) }
            #expect(client.readFrame()?.isCompressed == false)
            #expect(server.numbers().messagesDeflated == 0)
        }
    }
}

import Glibc
import Reactor
import TestRandom
import TestSockets
import Testing

extension ReactorTests {
    /// Random operations on topics, readers of all tempers, and the laws that hold in the end.
    @Suite struct FanOutLawTests {
        private struct Viewer {
            let client: TestClient
            let id: ConnectionID
            let reads: Bool
            var seen: [String: Int] = [:]  // the newest number by lane, "a0" for tallies of topic 0
        }

        @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
        func `nobody is left behind, nothing goes back, and the counters add up`(
            seed: UInt64
        ) throws {
            print("fan-out seed \(seed)")
            var random = SeededGenerator(seed: seed)
            let server = try TestServer(topicCount: 3) {
                $0.tickNanoseconds = 2_000_000
                $0.sweepSliceCount = 4
                $0.outboxBytes = 1 << 20
                $0.compressAboveBytes = 500
            }
            defer { server.stop() }
            var viewers: [Viewer] = []
            var published: [String: Int] = [:]

            func join() {
                let reads = random.below(3) > 0
                let client = TestClient(
                    webSocket: "/ws", port: server.port,
                    fields: random.below(2) > 0 ? TestClient.offersDeflate : "",
                    receiveBufferBytes: reads ? nil : 2048)
                let id = server.run { $0.sockets.last! }
                viewers.append(Viewer(client: client, id: id, reads: reads))
            }

            for _ in 0..<12 { join() }
            for _ in 0..<400 {
                let topic = random.below(3)
                switch random.below(12) {
                case 0...4:
                    let lane = "t\(topic)"
                    let number = published[lane, default: 0] + 1
                    published[lane] = number
                    let padding = String(repeating: "x", count: random.below(4_000))
                    server.run { $0.publishTally("\(lane) \(number) \(padding)", on: topic) }
                case 5:
                    let lane = "s\(topic)"
                    let number = published[lane, default: 0] + 1
                    published[lane] = number
                    let supersedes = random.below(2) == 0
                    server.run { server in
                        server.topics[topic].publishState(
                            server.frame("\(lane) \(number)"),
                            snapshot: server.frame("\(lane) \(number) snapshot"),
                            supersedesTally: supersedes)
                    }
                case 6:
                    let lane = "v\(topic)"
                    let number = published[lane, default: 0] + 1
                    published[lane] = number
                    server.run { server in
                        server.topics[topic].publishViewers(server.frame("\(lane) \(number)"))
                    }
                case 7, 8:
                    if viewers.isEmpty { break }
                    let id = viewers[random.below(viewers.count)].id
                    server.run { _ = $0.topics[topic].subscribe(id) }
                case 9:
                    if viewers.isEmpty { break }
                    let id = viewers[random.below(viewers.count)].id
                    server.run { _ = $0.topics[topic].unsubscribe(id) }
                case 10:
                    if random.below(4) == 0 {
                        join()
                    } else if viewers.count > 6, random.below(4) == 0 {
                        viewers.remove(at: random.below(viewers.count)).client.reset()
                    }
                default:
                    for index in viewers.indices where viewers[index].reads {
                        take(viewers[index].client.readWaitingFrames(), &viewers[index])
                    }
                }
            }

            // The last change of each topic reaches everybody who still hears of it.
            server.run { server in
                for topic in 0..<3 { server.publishTally("t\(topic) 1000000", on: topic) }
            }
            for index in viewers.indices {
                let id = viewers[index].id
                let topics = server.run { server in
                    (0..<3).filter { server.topics[$0].has(id) }
                }
                for _ in 0..<3_000 {
                    take(viewers[index].client.readWaitingFrames(), &viewers[index])
                    if topics.allSatisfy({ viewers[index].seen["t\($0)"] == 1_000_000 }) { break }
                    usleep(10_000)
                }
                for topic in topics {
                    #expect(viewers[index].seen["t\(topic)"] == 1_000_000, "seed \(seed)")
                }
            }
            #expect(
                server.eventually { server in
                    let numbers = server.statistics.read()
                    return numbers.framesOwed
                        == numbers.framesSent + numbers.framesConflated + numbers.framesDropped
                }, "seed \(seed)")
        }

        private func take(_ frames: [ReceivedFrame], _ viewer: inout Viewer) {
            for frame in frames where frame.opcode == 1 {
                let words = frame.text.split(separator: " ")
                let lane = String(words[0])
                let number = Int(words[1])!
                #expect(number > viewer.seen[lane, default: 0], "\(lane) never goes back")
                viewer.seen[lane] = number
            }
        }
    }
}

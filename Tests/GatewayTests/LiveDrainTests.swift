import Foundation
import Polls
import Testing

@testable import Gateway

@Suite(.serialized) struct LiveDrainTests {
    @Test func `everybody is told its own delay and closed when it has passed, no one before`() {
        let front = TestFront(polls: [makeRecord(1)])
        let sockets = (0..<8).map { _ in TestSocket(front, "/ws/polls/1/") }
        let stream = TestSocket(front, "/polls/1/events/", upgrades: false)
        for socket in sockets { #expect(socket.next().type == "snapshot") }
        front.rooms.tellAll(.drain(delay: 0, spread: 1_000))
        let began = Date()
        var delays: [Int: TestSocket] = [:]
        for socket in sockets {
            let message = socket.next()
            #expect(message.type == "draining")
            delays[message["reconnect_in_ms"] as? Int ?? -1] = socket
        }
        #expect(delays.count == sockets.count)
        #expect(delays.keys.max()! - delays.keys.min()! >= 500)
        for (delay, socket) in delays.sorted(by: { $0.key < $1.key }) {
            var received = socket.receive()
            while case .text = received { received = socket.receive() }
            #expect(received == .closed(code: 1001))
            // Time is read once per turn on one side, and after the telling on the other.
            #expect(Date().timeIntervalSince(began) * 1000 >= Double(delay) - 150)
        }
        var event = stream.nextEvent()
        while let first = event.first, first != "event: draining" { event = stream.nextEvent() }
        #expect(event.first == "event: draining")
        #expect(stream.nextEvent() == [])
    }

    @Test func `a ballot that was received is answered before the close`() {
        let front = TestFront(polls: [makeRecord(1)])
        let socket = TestSocket(front, "/ws/?voter=1")
        front.rooms.holdBallots()
        socket.send(#"{"type":"vote","ref":"a","poll_id":1,"option_ids":[10]}"#)
        while front.rooms.heldBallotCount == 0 { usleep(1_000) }
        front.rooms.tellAll(.drain(delay: 0, spread: 100))
        #expect(socket.next().type == "draining")
        #expect(socket.receive(milliseconds: 500) == .nothing)
        front.rooms.letBallotsGo()
        #expect(socket.next().type == "ack")
        #expect(socket.receive() == .closed(code: 1001))
    }

    @Test func `all is served while the delay lasts`() {
        let front = TestFront(polls: [makeRecord(1)])
        let early = TestSocket(front, "/ws/polls/1/")
        #expect(early.next().type == "snapshot")
        front.rooms.tellAll(.drain(delay: 60_000, spread: 100))
        let late = TestSocket(front, "/ws/polls/1/")
        #expect(late.next().type == "snapshot")
        front.rooms.castElsewhere(1, in: PollID(1)!)
        #expect(early.next().type == "tally" && late.next().type == "tally")
    }
}

import Foundation
import Polls
import Testing

@testable import Gateway

/// What clients may say, and what they are answered.
@Suite(.serialized) struct LiveMessageTests {
    @Test func `what is wrong is answered, and the socket stays`() {
        let front = TestFront(polls: [makeRecord(1)])
        let socket = TestSocket(front, "/ws/?voter=1")
        let longReference = String(repeating: "x", count: 127)
        let cases: [(String, code: String, field: String?)] = [
            (#"{"type":"#, "malformed_json", nil),
            (#"nonsense"#, "malformed_json", nil),
            (#"[]"#, "malformed_request", nil),
            (#"{}"#, "invalid", "type"),
            (#"{"type":7}"#, "invalid", "type"),
            (#"{"type":"Vote"}"#, "malformed_request", nil),
            (#"{"type":"ping","ref":1.5}"#, "invalid", "ref"),
            (#"{"type":"ping","ref":[]}"#, "invalid", "ref"),
            (#"{"type":"ping","ref":"\#(longReference)"}"#, "invalid", "ref"),
            (#"{"type":"subscribe"}"#, "invalid", "poll_ids"),
            (#"{"type":"subscribe","poll_ids":7}"#, "invalid", "poll_ids"),
            (#"{"type":"subscribe","poll_ids":[]}"#, "invalid", "poll_ids"),
            (#"{"type":"subscribe","poll_ids":["7"]}"#, "invalid", "poll_ids"),
            (#"{"type":"subscribe","poll_ids":[1.0]}"#, "invalid", "poll_ids"),
            (#"{"type":"subscribe","poll_ids":[0]}"#, "poll_not_found", nil),
            (#"{"type":"subscribe","poll_ids":[1],"host_key":5}"#, "invalid", "host_key"),
            (#"{"type":"subscribe","poll_ids":[1],"host_key":"psh_2"}"#, "forbidden", nil),
            (#"{"type":"unsubscribe","poll_ids":null}"#, "invalid", "poll_ids"),
            (#"{"type":"vote","option_ids":[10]}"#, "invalid", "poll_id"),
            (#"{"type":"vote","poll_id":1}"#, "invalid", "option_ids"),
            (#"{"type":"vote","poll_id":1,"option_ids":[]}"#, "invalid", "option_ids"),
            (#"{"type":"vote","poll_id":1,"option_ids":[10,11]}"#, "invalid", "option_ids"),
            (#"{"type":"vote","poll_id":1,"option_ids":[10],"voter":""}"#, "invalid", "voter"),
            (#"{"type":"vote","poll_id":1,"option_ids":[12]}"#, "option_not_found", nil),
            (#"{"type":"vote","poll_id":9,"option_ids":[10]}"#, "poll_not_found", nil),
        ]
        for (text, code, field) in cases {
            socket.send(text)
            let error = socket.next()
            #expect(error.type == "error", "\(text)")
            #expect(error.code == code, "\(text)")
            #expect(error["field"] as? String == field, "\(text)")
        }
        socket.send(#"{"type":"ping"}"#)
        #expect(socket.receive() == .text(#"{"type":"pong"}"#))
        socket.sendBinary()
        #expect(socket.receive() == .closed(code: 1003))
    }

    @Test func `a reference comes back to the letter`() {
        let front = TestFront(polls: [makeRecord(1)])
        let socket = TestSocket(front, "/ws/")
        for reference in [#""a1""#, #""é\n\"""#, "0", "-7", "9223372036854775807", #""""#] {
            socket.send(#"{"type":"ping","ref":\#(reference)}"#)
            #expect(socket.receive() == .text(#"{"type":"pong","ref":\#(reference)}"#))
        }
        socket.send(#"{"type":"subscribe","ref":"s","poll_ids":[1]}"#)
        #expect(socket.next()["ref"] as? String == "s")
    }

    @Test func `a vote is acknowledged after the commit, once, and counts once`() {
        let front = TestFront(polls: [makeRecord(1)])
        let socket = TestSocket(front, "/ws/")
        front.rooms.holdBallots()
        socket.send(#"{"type":"vote","ref":"a","poll_id":1,"option_ids":[11],"voter":"Ada"}"#)
        #expect(socket.next(milliseconds: 100).isEmpty)
        front.rooms.letBallotsGo()
        #expect(
            socket.receive()
                == .text(
                    #"{"type":"ack","ref":"a","status":"counted","poll_id":1,"#
                        + #""option_ids":[11],"revision":6}"#))
        socket.send(#"{"type":"vote","poll_id":1,"option_ids":[11],"voter":"Ada"}"#)
        let repeated = socket.next()
        #expect(repeated["repeated"] as? Bool == true)
        #expect(repeated.revision == 6)
        socket.send(#"{"type":"vote","poll_id":1,"option_ids":[10],"voter":"Ada"}"#)
        #expect(socket.next().code == "already_voted")
        #expect(front.rooms.record(PollID(1)!)?.poll.tally.counts == [0, 1])
    }

    @Test func `who brings no identity gives a name, where names count`() {
        var settings = GatewaySettings()
        settings.acceptsVoterNames = false
        for (front, code) in [
            (TestFront(polls: [makeRecord(1)]), ""),
            (TestFront(settings: settings, polls: [makeRecord(1)]), "voter_required"),
        ] {
            let socket = TestSocket(front, "/ws/")
            socket.send(#"{"type":"vote","poll_id":1,"option_ids":[11]}"#)
            #expect(socket.next().code == "voter_required")
            socket.send(#"{"type":"vote","poll_id":1,"option_ids":[11],"voter":"Ada"}"#)
            #expect(socket.next().code == code)
            let known = TestSocket(front, "/ws/?voter=4")
            known.send(#"{"type":"vote","poll_id":1,"option_ids":[11],"voter":"Ada"}"#)
            #expect(known.next()["repeated"] == nil)
        }
    }

    @Test func `no socket is subscribed to more than it may be, pending ones counted`() {
        var settings = GatewaySettings()
        settings.subscriptionCount = 3
        let front = TestFront(settings: settings, polls: (1...6).map { makeRecord($0) })
        let socket = TestSocket(front, "/ws/")
        front.rooms.holdReads()
        socket.send(#"{"type":"subscribe","poll_ids":[1,2]}"#)
        socket.send(#"{"type":"subscribe","ref":"more","poll_ids":[3,4]}"#)
        let refused = socket.next()
        #expect(refused.code == "too_many_subscriptions" && refused["ref"] as? String == "more")
        front.rooms.letReadsGo()
        #expect(socket.next().type == "snapshot" && socket.next().type == "snapshot")
        socket.send(#"{"type":"subscribe","poll_ids":[1,2,3]}"#)
        for _ in 0..<3 { #expect(socket.next().type == "snapshot") }
        socket.send(#"{"type":"subscribe","poll_ids":[4]}"#)
        #expect(socket.next().code == "too_many_subscriptions")
        socket.send(#"{"type":"unsubscribe","poll_ids":[1,5]}"#)
        socket.send(#"{"type":"subscribe","poll_ids":[4]}"#)
        #expect(socket.next().poll["id"] as? Int == 4)
    }

    @Test func `unsubscribing takes effect on what is still loading`() {
        let front = TestFront(polls: [makeRecord(1), makeRecord(2)])
        let socket = TestSocket(front, "/ws/")
        front.rooms.holdReads()
        socket.send(#"{"type":"subscribe","poll_ids":[1,2]}"#)
        socket.send(#"{"type":"unsubscribe","poll_ids":[1]}"#)
        socket.send(#"{"type":"ping"}"#)
        #expect(socket.next().type == "pong")
        front.rooms.letReadsGo()
        #expect(socket.next().poll["id"] as? Int == 2)
        #expect(socket.next(milliseconds: 100).isEmpty)
    }

    @Test func `subscribing twice gives each tally once`() {
        let front = TestFront(polls: [makeRecord(1)])
        let socket = TestSocket(front, "/ws/polls/1/")
        #expect(socket.next().type == "snapshot")
        socket.send(#"{"type":"subscribe","poll_ids":[1]}"#)
        #expect(socket.next().type == "snapshot")
        front.rooms.castElsewhere(1, in: PollID(1)!)
        #expect(socket.next().type == "tally")
        #expect(socket.next(milliseconds: 100).isEmpty)
        socket.send(#"{"type":"unsubscribe","poll_ids":[1,1]}"#)
        socket.send(#"{"type":"unsubscribe","poll_ids":[1]}"#)
        socket.send(#"{"type":"ping"}"#)
        #expect(socket.next().type == "pong")
        front.rooms.castElsewhere(1, in: PollID(1)!)
        #expect(socket.next(milliseconds: 100).isEmpty)
    }

    @Test func `full rooms and full waiting rows are answered overloaded`() {
        var settings = GatewaySettings()
        settings.boardWaiterCount = 1
        settings.unansweredMessageCount = 2
        let front = TestFront(settings: settings, polls: (1...4).map { makeRecord($0) })
        let socket = TestSocket(front, "/ws/?voter=1")
        front.rooms.holdReads()
        socket.send(#"{"type":"subscribe","poll_ids":[1]}"#)
        let other = TestSocket(front, "/ws/?voter=2")
        other.send(#"{"type":"ping"}"#)
        #expect(other.next().type == "pong")
        while front.rooms.readIDs.isEmpty { usleep(1_000) }
        other.send(#"{"type":"vote","ref":"late","poll_id":1,"option_ids":[10]}"#)
        let late = other.next()
        #expect(late.code == "overloaded" && late["ref"] as? String == "late")
        socket.send(#"{"type":"subscribe","poll_ids":[2]}"#)
        socket.send(#"{"type":"subscribe","ref":"third","poll_ids":[3]}"#)
        let third = socket.next()
        #expect(third.code == "overloaded" && third["ref"] as? String == "third")
        front.rooms.letReadsGo()
        #expect(socket.next().type == "snapshot" && socket.next().type == "snapshot")
        front.rooms.fillUp()
        socket.send(#"{"type":"vote","poll_id":1,"option_ids":[10]}"#)
        #expect(socket.next().code == "overloaded")
        socket.send(#"{"type":"subscribe","poll_ids":[4]}"#)
        #expect(socket.next().code == "overloaded")
        #expect(TestSocket(front, "/ws/polls/4/").receive() == .closed(code: 1013))
    }
}

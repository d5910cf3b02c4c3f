import Foundation
import Polls
import TestRandom
import Testing

@testable import Gateway

/// What a subscriber is told, over real loops and sockets.
@Suite(.serialized) struct LiveTests {
    @Test func `a socket for one poll gets its snapshot, viewers and tallies`() {
        let front = TestFront(polls: [makeRecord(1)])
        let socket = TestSocket(front, "/ws/polls/1/")
        #expect(
            socket.receive()
                == .text(
                    #"{"type":"snapshot","poll":{"id":1,"title":"Poll 1","description":"","#
                        + #""creator_name":"","kind":"single","max_choices":1,"results":"live","#
                        + #""change_vote":false,"state":"open","is_active":true,"#
                        + #""created_at":"2026-05-28T20:26:40Z","starts_at":null,"end_time":null,"#
                        + #""closed_at":null,"join_code":"CODE1","revision":5,"total_votes":0,"#
                        + #""options":[{"id":10,"text":"option 0","vote_count":0},"#
                        + #"{"id":11,"text":"option 1","vote_count":0}]}}"#))
        #expect(socket.receive() == .text(#"{"type":"viewers","poll_id":1,"viewers":1}"#))
        front.rooms.castElsewhere(0b10, in: PollID(1)!)
        #expect(
            socket.receive()
                == .text(
                    #"{"type":"tally","poll_id":1,"revision":6,"total":1,"counts":[0,1],"#
                        + #""at":1780000000123}"#))
    }

    @Test func `no tally precedes the snapshot, none is missed, none comes twice`() {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        for round in Int64(1)...40 {
            let front = TestFront(tickNanoseconds: 1, polls: [makeRecord(round)])
            let id = PollID(round)!
            var cast: Int64 = 0
            front.rooms.holdReads()
            let sockets = (0..<3).map { _ in
                if Bool.random(using: &random) {
                    front.rooms.castElsewhere(1, in: id)
                    cast += 1
                }
                return TestSocket(front, "/ws/polls/\(round)/")
            }
            for step in 0..<6 {
                if step == 3 { front.rooms.letReadsGo() }
                if Bool.random(using: &random) {
                    front.rooms.castElsewhere(1, in: id)
                    cast += 1
                }
                usleep(UInt32.random(in: 0...500, using: &random))
            }
            front.rooms.closePoll(id)
            for socket in sockets {
                var revision: Int64 = -1
                var messages: [[String: Any]] = []
                while true {
                    let message = socket.next()
                    if message.isEmpty { break }
                    messages.append(message)
                    if message.type == "state" { break }
                    let isClosed = message.poll["state"] as? String == "closed"
                    let newer =
                        message.type == "snapshot"
                        ? (message.poll["revision"] as? NSNumber)?.int64Value ?? -1
                        : message.revision
                    #expect(newer > revision, "seed \(seed)")
                    revision = newer
                    if isClosed { break }
                }
                #expect(messages.first?.type == "snapshot", "seed \(seed)")
                #expect(messages.count { $0.type == "snapshot" } == 1, "seed \(seed)")
                if messages.last?.type == "state" {
                    #expect(messages.last?.revision == 5 + cast + 1, "seed \(seed)")
                    if messages.count > 2 {
                        let final = messages[messages.count - 2]
                        #expect(final.counts == [cast, 0], "seed \(seed)")
                    }
                } else {
                    #expect(messages.last?.total == cast, "seed \(seed)")
                }
            }
        }
    }

    @Test
    func `the final tally precedes closed with nothing between, at the revision of the close`() {
        // With a tick that never comes again, only the transition can bring the last tally.
        let front = TestFront(tickNanoseconds: 60_000_000_000, polls: [makeRecord(1)])
        let socket = TestSocket(front, "/ws/polls/1/")
        #expect(socket.next().type == "snapshot")
        for _ in 0..<3 { front.rooms.castElsewhere(1, in: PollID(1)!) }
        front.rooms.closePoll(PollID(1)!)
        var messages = [socket.next()]
        while messages.last?.type == "tally" { messages.append(socket.next()) }
        let final = messages.dropLast().last ?? [:]
        #expect(final.counts == [3, 0])
        #expect(final.revision == 9)
        #expect(messages.last?["state"] as? String == "closed")
        #expect(messages.last?.revision == 9)
    }

    @Test func `of an edit and a close that come as one, the snapshot is the final tally`() {
        let front = TestFront(polls: [makeRecord(1, counts: [2, 1])])
        let socket = TestSocket(front, "/ws/polls/1/")
        #expect(socket.next().type == "snapshot")
        front.rooms.change(PollID(1)!, .closed) {
            $0.title = "changed"
            $0.closedAt = 1_790_000_000_000
        }
        let snapshot = socket.next()
        #expect(snapshot.poll["state"] as? String == "closed")
        #expect(snapshot.total == 3)
        let state = socket.next()
        #expect(state.type == "state" && state.revision == 6)
    }

    @Test func `hidden counts are in no byte until the close`() throws {
        let front = TestFront(polls: [
            makeRecord(1, results: .afterClose, revision: 777_005, counts: [700, 70])
        ])
        let socket = TestSocket(front, "/ws/polls/1/?voter=1")
        let stream = TestSocket(front, "/polls/1/events/", upgrades: false)
        let snapshot = socket.next()
        #expect((snapshot.poll["revision"] as? NSNumber)?.int64Value == 5)
        #expect(snapshot.total == nil)
        #expect(stream.nextEvent() == ["retry: 2000"])
        #expect(stream.nextEvent().prefix(2) == ["event: snapshot", "id: 5"])
        socket.send(#"{"type":"vote","ref":"a","poll_id":1,"option_ids":[10]}"#)
        let ack = socket.next()
        #expect(ack.type == "ack")
        #expect(ack.revision == 5)
        front.rooms.castElsewhere(0b10, in: PollID(1)!)
        #expect(socket.next(milliseconds: 200).isEmpty)
        #expect(stream.nextEvent(milliseconds: 100) == [])
        for bytes in [socket.everything, stream.everything] {
            let text = String(decoding: bytes, as: UTF8.self)
            for secret in ["700", "701", "71", "770", "771", "772", "777"] {
                #expect(!text.contains(secret))
            }
        }
        front.rooms.closePoll(PollID(1)!)
        #expect(socket.next().counts == [701, 71])
        #expect(socket.next()["state"] as? String == "closed")
        let tally = stream.nextEvent()
        #expect(tally.prefix(2) == ["event: tally", "id: 777008"])
        #expect(stream.nextEvent().prefix(2) == ["event: state", "id: 777008"])
    }

    @Test func `all ids of a subscribe or none, and the first bad one is named`() {
        let front = TestFront(polls: [makeRecord(1), makeRecord(2)])
        let socket = TestSocket(front, "/ws/")
        socket.send(#"{"type":"subscribe","ref":7,"poll_ids":[1,99,2,98]}"#)
        let error = socket.next()
        #expect(error.code == "poll_not_found")
        #expect(error["poll_id"] as? Int == 99)
        #expect(error["ref"] as? Int == 7)
        front.rooms.castElsewhere(1, in: PollID(1)!)
        #expect(socket.next(milliseconds: 100).isEmpty)
        socket.send(#"{"type":"subscribe","poll_ids":[1,2,1]}"#)
        #expect(socket.next().total == 1)
        #expect(socket.next().poll["id"] as? Int == 2)
        #expect(socket.next(milliseconds: 100).isEmpty)
    }

    @Test
    func `an id that the catalogue does not know is asked for once, and forgotten when created`() {
        var settings = GatewaySettings()
        settings.unknownPollMilliseconds = 60_000
        let front = TestFront(settings: settings)
        let socket = TestSocket(front, "/ws/")
        for _ in 0..<5 {
            socket.send(#"{"type":"subscribe","poll_ids":[99]}"#)
            #expect(socket.next().code == "poll_not_found")
        }
        #expect(front.rooms.readIDs == [PollID(99)!])
        front.rooms.add(makeRecord(99))
        // The news of it and the question travel separate ways.
        var answer = ""
        for _ in 0..<1_000 where answer != "snapshot" {
            socket.send(#"{"type":"subscribe","poll_ids":[99]}"#)
            answer = socket.next().type
        }
        #expect(answer == "snapshot")
    }

    @Test func `a poll that is created while it is read is found`() {
        let front = TestFront()
        front.rooms.holdReads()
        let socket = TestSocket(front, "/ws/polls/3/")
        while front.rooms.readIDs.isEmpty { usleep(1_000) }
        front.rooms.add(makeRecord(3))
        front.rooms.letReadsGo()
        #expect(socket.next().type == "snapshot")
    }

    @Test func `unknown polls close their socket with 4404, and have no stream`() {
        let front = TestFront()
        #expect(TestSocket(front, "/ws/polls/5/").receive() == .closed(code: 4404))
        // Asked the catalogue at first, remembered the second time.
        for _ in 0..<2 {
            let stream = TestSocket(front, "/polls/6/events/", upgrades: false)
            #expect(stream.head.hasPrefix("HTTP/1.1 404"))
        }
    }

    @Test func `since skips the snapshot of the revision one has`() {
        let front = TestFront(polls: [
            makeUnedited(1), makeRecord(2, results: .afterClose, revision: 9),
        ])
        let current = TestSocket(front, "/ws/polls/1/?since=5")
        #expect(current.receive() == .text(#"{"type":"viewers","poll_id":1,"viewers":1}"#))
        #expect(
            TestSocket(front, "/ws/polls/1/?since=4").next().type == "snapshot")
        #expect(
            TestSocket(front, "/ws/polls/1/?since=6").next().type == "snapshot")
        let hidden = TestSocket(front, "/ws/polls/2/?since=5")
        #expect(hidden.next(milliseconds: 100).isEmpty)
    }

    @Test func `since skips no words that may have come after the tally one has`() {
        var young = makeRecord(1, revision: 1_000_500, counts: [1, 0])
        young.poll.shownRevision = 1_000_000
        var old = makeRecord(2, revision: 1_000_500, counts: [1, 0])
        old.poll.shownRevision = 900_000
        var closed = makeRecord(3, revision: 1_000_500, counts: [1, 0])
        closed.poll.closedAt = 1
        closed.poll.shownRevision = 1_000_500
        let front = TestFront(polls: [young, old, closed])
        #expect(TestSocket(front, "/ws/polls/1/?since=1000500").next().type == "snapshot")
        #expect(TestSocket(front, "/ws/polls/3/?since=1000500").next().type == "snapshot")
        #expect(TestSocket(front, "/ws/polls/2/?since=1000500").next(milliseconds: 100).isEmpty)
    }

    /// Its tally may have been announced without its words: by a commit that was tried again, and left
    /// the poll as the change had made it.
    @Test func `since skips no words of a poll in which nobody has voted`() {
        var closed = makeRecord(1, revision: 1_000_500)
        closed.poll.closedAt = 1
        closed.poll.shownRevision = 1_000_500
        var edited = makeRecord(2, revision: 1_000_500)
        edited.poll.shownRevision = 1_000_500
        var untouched = makeRecord(3, revision: 1_780_000_000_000)
        untouched.poll.shownRevision = untouched.poll.createdAt
        let front = TestFront(polls: [closed, edited, untouched])
        #expect(TestSocket(front, "/ws/polls/1/?since=1000500").next().type == "snapshot")
        #expect(TestSocket(front, "/ws/polls/2/?since=1000500").next().type == "snapshot")
        #expect(
            TestSocket(front, "/ws/polls/3/?since=1780000000000").next(milliseconds: 100).isEmpty)
    }

    @Test func `an opening that comes with ballots brings their tally`() {
        let front = TestFront(polls: [makeRecord(1, isOpened: false)])
        let socket = TestSocket(front, "/ws/polls/1/")
        #expect(socket.next().poll["state"] as? String == "scheduled")
        front.rooms.change(PollID(1)!, .opened) {
            $0.isOpened = true
            $0.tally.ballots = 2
            $0.tally.counts = [0, 2]
        }
        let tally = socket.next()
        #expect(tally.counts == [0, 2] && tally.revision == 6)
        let opened = socket.next()
        #expect(opened["state"] as? String == "open" && opened.revision == 6)
    }

    @Test func `edits bring a snapshot, openings a state, deletions the end of subscriptions`() {
        let front = TestFront(polls: [makeRecord(1, isOpened: false)])
        let id = PollID(1)!
        let socket = TestSocket(front, "/ws/polls/1/")
        #expect(socket.next().poll["state"] as? String == "scheduled")
        front.rooms.change(id, .opened) { $0.isOpened = true }
        let opened = socket.next()
        #expect(opened["state"] as? String == "open")
        #expect(opened.revision == 6)
        front.rooms.change(id, .edited) { $0.title = "better" }
        #expect(socket.next().poll["title"] as? String == "better")
        front.rooms.delete(id)
        let deleted = socket.next()
        #expect(deleted["state"] as? String == "deleted")
        #expect(deleted.revision == 8)
        socket.send(#"{"type":"subscribe","poll_ids":[1]}"#)
        #expect(socket.next().code == "poll_not_found")
        socket.send(#"{"type":"ping","ref":"still"}"#)
        #expect(socket.receive() == .text(#"{"type":"pong","ref":"still"}"#))
    }

    @Test func `a change of results changes what everybody is shown, and moves nobody`() {
        let front = TestFront(polls: [makeRecord(1, counts: [3, 0])])
        let id = PollID(1)!
        let guest = TestSocket(front, "/ws/polls/1/")
        let host = TestSocket(front, "/ws/polls/1/?host_key=psh_1")
        #expect(guest.next().total == 3 && host.next().total == 3)
        front.rooms.change(id, .edited) { $0.results = .afterClose }
        #expect(guest.next().total == nil)
        #expect(host.next().total == 3)
        front.rooms.castElsewhere(1, in: id)
        #expect(host.next().counts == [4, 0])
        #expect(guest.next(milliseconds: 100).isEmpty)
        front.rooms.change(id, .edited) { $0.results = .live }
        #expect(guest.next().total == 4)
    }

    @Test func `viewers are counted over all loops`() {
        let front = TestFront(loops: 2, polls: [makeRecord(1)])
        let first = TestSocket(front, loop: 0, "/ws/polls/1/")
        var others: [TestSocket] = []
        _ = first.next()
        for loop in [0, 1, 1] {
            others.append(TestSocket(front, loop: loop, "/ws/polls/1/"))
            _ = others.last?.next()
        }
        func waitForViewers(_ count: Int) -> Bool {
            let deadline = Date(timeIntervalSinceNow: 60)
            while Date() < deadline {
                guard case .text(let text) = first.receive() else { return false }
                if TestSocket.parse(text)["viewers"] as? Int == count { return true }
            }
            return false
        }
        #expect(waitForViewers(4))
        others.removeAll()
        #expect(waitForViewers(1))
    }
}

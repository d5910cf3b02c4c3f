import Foundation
import Identity
import Polls
import Testing

@testable import Gateway

/// Who sees the counts of polls that do not show them to everybody.
@Suite(.serialized) struct HiddenResultTests {
    @Test
    func `a vote shows the counts to all sockets of its voter, on all loops, and to nobody else`() {
        let front = TestFront(
            loops: 2, polls: [makeRecord(1, results: .afterVote, revision: 9, counts: [3, 1])])
        let mine = (0...1).map { TestSocket(front, loop: $0, "/ws/polls/1/?voter=1") }
        let stream = TestSocket(front, loop: 1, "/polls/1/events/?voter=1", upgrades: false)
        let other = TestSocket(front, "/ws/polls/1/?voter=2")
        for socket in mine + [other] { #expect(socket.next().total == nil) }
        #expect(stream.nextEvent() == ["retry: 2000"])
        #expect(stream.nextEvent().first == "event: snapshot")
        mine[0].send(#"{"type":"vote","poll_id":1,"option_ids":[10]}"#)
        let ack = mine[0].next()
        #expect(ack.type == "ack" && ack.revision == 10)
        for socket in mine { #expect(socket.next().total == 5) }
        #expect(stream.nextEvent().prefix(2) == ["event: snapshot", "id: 10"])
        front.rooms.castElsewhere(1, in: PollID(1)!)
        for socket in mine { #expect(socket.next().counts == [5, 1]) }
        #expect(stream.nextEvent().prefix(2) == ["event: tally", "id: 11"])
        #expect(other.next(milliseconds: 100).isEmpty)
        front.rooms.closePoll(PollID(1)!)
        #expect(other.next().counts == [5, 1])
    }

    @Test func `who has voted before sees the counts when it comes again`() {
        let front = TestFront(
            polls: [makeRecord(1, results: .afterVote, revision: 9, counts: [3, 1])])
        let first = TestSocket(front, "/ws/?voter=1")
        first.send(#"{"type":"vote","poll_id":1,"option_ids":[10]}"#)
        #expect(first.next().type == "ack")
        #expect(TestSocket(front, "/ws/polls/1/?voter=1").next().total == 5)
        let stranger = TestSocket(front, "/ws/polls/1/?voter=3")
        #expect(stranger.next().total == nil)
        #expect(stranger.next(milliseconds: 100).isEmpty)
    }

    @Test func `a ballot that another gateway took is asked for`() {
        let front = TestFront(
            polls: [makeRecord(1, results: .afterVote, revision: 9, counts: [3, 1])])
        front.rooms.store(key(1, in: front))
        let voter = TestSocket(front, "/ws/polls/1/?voter=1")
        #expect(voter.next().total == nil)
        #expect(voter.next().total == 4)
    }

    private func key(_ voter: UInt64, in front: TestFront) -> BallotKey {
        let identity = VoterIdentity.token(VoterToken.ID(high: 1, low: voter))
        return BallotKey(
            poll: PollID(1)!, voter: front.shared.secrets!.hasher.voterKey(for: identity))
    }

    @Test func `a question that the database refused is asked again once it is back`() {
        let front = TestFront(
            polls: [makeRecord(1, results: .afterVote, revision: 9, counts: [3, 1])])
        for voter in 1...40 { front.rooms.store(key(UInt64(voter), in: front)) }
        front.rooms.refuseBallotQuestions(true)
        let voters = (1...40).map { TestSocket(front, "/ws/polls/1/?voter=\($0)") }
        for voter in voters { #expect(voter.next().total == nil) }
        let stranger = TestSocket(front, "/ws/polls/1/?voter=41")
        #expect(stranger.next().total == nil)
        #expect(voters[0].next(milliseconds: 100).isEmpty)
        front.rooms.refuseBallotQuestions(false)
        for voter in voters { #expect(voter.next().total == 4) }
        #expect(stranger.next(milliseconds: 100).isEmpty)
    }

    @Test(arguments: [true, false])
    func `a ballot of which no word came is found, at once where Redis says that words were lost`(
        isTold: Bool
    ) {
        // Without ticks, nothing is asked for without a reason.
        let front = TestFront(
            tickNanoseconds: isTold ? 3_600_000_000_000 : 5_000_000,
            polls: [makeRecord(1, results: .afterVote, revision: 9, counts: [3, 1])])
        let voters = (1...40).map { TestSocket(front, "/ws/polls/1/?voter=\($0)") }
        for voter in voters { #expect(voter.next().total == nil) }
        #expect(voters[0].next(milliseconds: 100).isEmpty)
        for voter in 1...39 { front.rooms.store(key(UInt64(voter), in: front)) }
        if isTold { front.rooms.tellAll(.heard(tallies: [], changed: [PollID(1)!])) }
        for voter in voters.prefix(39) { #expect(voter.next().total == 4) }
        #expect(voters[39].next(milliseconds: 100).isEmpty)
    }

    @Test func `a name that votes opens the socket that it voted on`() {
        let front = TestFront(polls: [makeRecord(1, results: .afterVote, counts: [3, 1])])
        let socket = TestSocket(front, "/ws/polls/1/")
        #expect(socket.next().total == nil)
        socket.send(#"{"type":"vote","poll_id":1,"option_ids":[10],"voter":"Ada"}"#)
        #expect(socket.next().type == "ack")
        #expect(socket.next().total == 5)
    }

    @Test func `the host key opens its poll`() {
        let front = TestFront(polls: [
            makeRecord(1, results: .afterClose, counts: [3, 1]),
            makeRecord(2, results: .afterClose, counts: [3, 1]),
        ])
        let socket = TestSocket(front, "/ws/polls/1/")
        #expect(socket.next().total == nil)
        socket.send(#"{"type":"subscribe","poll_ids":[1,2],"host_key":"psh_1"}"#)
        #expect(socket.next().total == 4)
        #expect(socket.next().total == nil)
        front.rooms.castElsewhere(1, in: PollID(1)!)
        front.rooms.castElsewhere(1, in: PollID(2)!)
        #expect(socket.next().counts == [4, 1])
        #expect(socket.next(milliseconds: 100).isEmpty)
    }

    @Test func `counts that become hidden stay shown to who has voted`() {
        let front = TestFront(polls: [makeRecord(1, counts: [3, 1])])
        let voter = TestSocket(front, "/ws/polls/1/?voter=1")
        let other = TestSocket(front, "/ws/polls/1/?voter=2")
        #expect(voter.next().total == 4 && other.next().total == 4)
        voter.send(#"{"type":"vote","poll_id":1,"option_ids":[10]}"#)
        #expect([voter.next().type, voter.next().type].sorted() == ["ack", "tally"])
        #expect(other.next().type == "tally")
        front.rooms.change(PollID(1)!, .edited) { $0.results = .afterVote }
        #expect(voter.next().type == "snapshot")
        #expect(other.next().total == nil)
        var last = voter.next()
        if last.type == "snapshot" { #expect(last.total == 5) }
        front.rooms.castElsewhere(1, in: PollID(1)!)
        last = voter.next()
        #expect(last.counts == [5, 1])
        #expect(other.next(milliseconds: 100).isEmpty)
    }
}

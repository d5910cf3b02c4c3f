import JSON
import Polls
import Testing

@testable import Events

struct EventMessageTests {
    private let words = PollWords(
        title: "Tea \"or\"\n☕?", results: .afterClose,
        options: [
            PollOption(id: 31, text: "Tea"), PollOption(id: 32, text: "Coffee"),
            PollOption(id: 33, text: "Water"),
        ])

    private func event(_ content: RecordedEvent.Content) -> RecordedEvent {
        RecordedEvent(
            id: RecordedEvent.ID(order: 5, number: 6), pollID: PollID(7)!, words: words,
            content: content)
    }

    private func messages(_ choices: UInt64, replacing replaced: UInt64 = 0) -> [EventMessage] {
        let ballot = RecordedBallot(
            id: -1, choices: Choices(mask: choices), replaced: Choices(mask: replaced),
            voter: "Ada", castAt: 1_790_000_000_123)
        return EventMessage.messages(of: event(.ballots([ballot])))
    }

    private func text(_ message: EventMessage) -> String {
        String(decoding: message.body, as: UTF8.self)
    }

    @Test func `a vote has the original's members, and ours`() throws {
        let message = try #require(messages(0b10).first)
        #expect(message.key.rawValue == "poll.vote_update")
        #expect(message.id == "7-18446744073709551615+32")
        #expect(
            text(message) == #"""
                {"type":"vote_notification","voter_name":"Ada","poll_id":7,"poll_text":"Tea \"or\"\n☕?",\#
                "option_id":32,"option_text":"Coffee","delta":1,"ballot_id":"7-18446744073709551615",\#
                "cast_at":"2026-09-21T14:13:20.123Z","results":"after_close"}
                """#)
    }

    @Test func `of several marks each is told, and their deltas add up`() {
        let told = messages(0b101)
        #expect(told.map(\.id) == ["7-18446744073709551615+31", "7-18446744073709551615+33"])
        let changed = messages(0b110, replacing: 0b101)
        #expect(
            changed.map(\.id) == ["7-18446744073709551615-31", "7-18446744073709551615+32"])
        #expect(text(changed[0]).contains(#""option_id":31,"option_text":"Tea","delta":-1,"#))
        #expect(messages(0).isEmpty)
    }

    @Test func `a mark that the poll does not have is passed over`() {
        #expect(messages(0b1001).count == 1)
    }

    @Test(arguments: PollChangeKind.allCases)
    func `a change tells what it left behind`(kind: PollChangeKind) {
        let facts = PollFacts(
            revision: 44, state: .closed, startsAt: nil, endTime: 1_790_000_000_000,
            closedAt: 1_790_000_000_001, ballots: 15, counts: [11, 4, 0])
        let told = EventMessage.messages(of: event(.change(kind, facts)))
        #expect(told.count == 1)
        #expect(told[0].key.rawValue == "poll.change" && told[0].id == "7-\(kind)-44")
        #expect(
            text(told[0]) == #"""
                {"type":"poll_\#(kind)","poll_id":7,"poll_text":"Tea \"or\"\n☕?","revision":44,\#
                "state":"\#(kind == .deleted ? "deleted" : "closed")","results":"after_close",\#
                "starts_at":null,"end_time":"2026-09-21T14:13:20Z",\#
                "closed_at":"2026-09-21T14:13:20.001Z","total_votes":15,"options":[\#
                {"id":31,"text":"Tea","vote_count":11},{"id":32,"text":"Coffee","vote_count":4},\#
                {"id":33,"text":"Water","vote_count":0}]}
                """#)
    }
}

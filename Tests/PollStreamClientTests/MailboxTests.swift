import Testing

@testable import PollStreamClient

@Suite struct MailboxTests {
    private func tally(_ id: Int64, _ revision: Int64) -> LiveEvent {
        .tally(Tally(pollID: id, revision: revision, total: revision, counts: [revision], at: 0))
    }

    @Test func `a slow reader gets the newest tally of each poll`() {
        var pending: [LiveEvent] = []
        for revision in 1...100 as ClosedRange<Int64> {
            pending.conflate(tally(1, revision))
            pending.conflate(.viewers(pollID: 1, count: revision))
            pending.conflate(tally(2, revision))
        }
        #expect(pending.count == 3)
        #expect(pending.contains(tally(1, 100)))
        #expect(pending.contains(tally(2, 100)))
        #expect(pending.contains(.viewers(pollID: 1, count: 100)))
    }

    @Test func `the final tally stays before the close`() {
        var pending: [LiveEvent] = []
        pending.conflate(tally(1, 7))
        pending.conflate(.state(pollID: 1, revision: 7, state: .closed))
        pending.conflate(tally(2, 9))
        #expect(
            pending == [
                tally(1, 7), .state(pollID: 1, revision: 7, state: .closed), tally(2, 9),
            ])
    }

    @Test func `connections that came and went leave the last word`() {
        var pending: [LiveEvent] = []
        for _ in 0..<50 {
            pending.conflate(.disconnected(reason: "gone"))
            pending.conflate(.connected)
        }
        #expect(pending == [.connected])
    }

    @Test func `nothing comes after the end`() async throws {
        let mailbox = LiveMailbox()
        mailbox.put(.connected)
        mailbox.finish(.timedOut)
        mailbox.put(tally(1, 1))
        #expect(try await mailbox.next() == .connected)
        await #expect(throws: ClientError.timedOut) { try await mailbox.next() }
    }

    @Test func `a lower revision never follows a higher one`() {
        var revisions = RevisionGuard()
        let events = [
            tally(1, 5), tally(1, 5), tally(1, 4), .state(pollID: 1, revision: 5, state: .closed),
            .state(pollID: 1, revision: 4, state: .open), tally(2, 1),
        ]
        #expect(events.map { revisions.admit($0) } == [true, false, false, true, false, true])
    }
}

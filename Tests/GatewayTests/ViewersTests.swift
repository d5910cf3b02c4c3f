import Polls
import Testing

@testable import Gateway

@Suite struct ViewerCountsTests {
    @Test func `each source counts for itself, and a poll that nobody watches costs nothing`() {
        let counts = ViewerCounts()
        let poll = PollID(1)!
        #expect(counts.set(3, of: poll, from: 0) == 3)
        #expect(counts.set(4, of: poll, from: 5) == 7)
        #expect(counts.set(1, of: poll, from: 0) == 5)
        #expect(counts.count(of: poll) == 5)
        counts.set(0, of: poll, from: 0)
        #expect(counts.set(0, of: poll, from: 5) == 0)
        #expect(counts.pollCount == 0)
    }
}

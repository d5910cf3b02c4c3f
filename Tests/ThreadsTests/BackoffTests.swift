import Testing
import Threads

@Suite struct BackoffTests {
    @Test func `delays double up to the limit`() {
        var backoff = Backoff(base: .milliseconds(10), limit: .milliseconds(50))
        let delays = (0..<5).map { _ in backoff.next(random: 1) / 1_000_000 }
        #expect(delays == [10, 20, 40, 50, 50])
    }

    @Test func `chance takes at most half away`() {
        var low = Backoff(base: .milliseconds(10), limit: .milliseconds(50))
        var middle = low
        #expect(low.next(random: 0) == 5_000_000)
        #expect(middle.next(random: 0.5) == 7_500_000)
    }

    @Test func `a reset begins again`() {
        var backoff = Backoff(base: .milliseconds(10), limit: .milliseconds(50))
        _ = backoff.next(random: 1)
        _ = backoff.next(random: 1)
        backoff.reset()
        #expect(backoff.next(random: 1) == 10_000_000)
    }

    @Test func `a duration in whole nanoseconds`() {
        #expect(Duration.seconds(5).nanoseconds == 5_000_000_000)
        #expect(Duration.milliseconds(1.5).nanoseconds == 1_500_000)
    }
}

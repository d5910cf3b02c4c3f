import TestRandom
import Testing

@testable import Store

struct ServerClockTests {
    @Test func `what is told is the moment itself, or a little earlier`() throws {
        var clock = ServerClock()
        #expect(clock.milliseconds(at: 5) == nil)
        var random = SeededGenerator(seed: 7)
        for _ in 0..<10_000 {
            // Nanoseconds by the server, whose clock may be as wrong as may be.
            let offset = Int64.random(in: -1_000_000_000_000...1_000_000_000_000, using: &random)
            let read = Int64.random(in: 0...1_000_000_000_000, using: &random)
            let answered = read + Int64.random(in: 0...800_000_000, using: &random)
            let moment =
                answered + Int64.random(in: -60_000_000_000...60_000_000_000, using: &random)
            let now = 2_000_000_000_000 + offset
            clock.note((now + read) / 1_000_000, at: answered)
            let told = try #require(clock.milliseconds(at: moment)) * 1_000_000
            let meant = now + moment
            #expect(told <= meant)
            let drift = abs(moment - answered) / 500
            #expect(meant - told <= answered - read + drift + 2_000_000)
        }
    }

    @Test func `a clock that runs a two-thousandth slower is not believed too long`() throws {
        var clock = ServerClock()
        clock.note(1_000, at: 0)
        // A minute by ours is 59.97 s by the server's.
        #expect(try #require(clock.milliseconds(at: 60_000_000_000)) <= 1_000 + 59_970)
    }

    @Test func `a reading is known for ten seconds`() {
        var clock = ServerClock()
        #expect(!clock.isKnown(at: 0))
        clock.note(1, at: 1_000)
        #expect(clock.isKnown(at: 10_000_000_999))
        #expect(!clock.isKnown(at: 10_000_001_000))
    }
}

import Testing

@testable import Telemetry

@Suite struct LogPacerTests {
    private let second: Int64 = 1_000_000_000

    @Test func `so many lines a second pass, and the next one says how many did not`() {
        let pacer = LogPacer(linesPerSecond: 3)
        #expect((0..<10).compactMap { pacer.take(at: Int64($0)) } == [0, 0, 0])
        #expect(pacer.take(at: second - 1) == nil)
        #expect(pacer.take(at: second) == 8)
        #expect(pacer.take(at: second) == 0)
    }

    @Test func `who is quiet for long saves nothing up`() {
        let pacer = LogPacer(linesPerSecond: 2)
        #expect((0..<5).compactMap { _ in pacer.take(at: 100 * second) }.count == 2)
        #expect((0..<5).compactMap { _ in pacer.take(at: 200 * second) } == [3, 0])
    }
}

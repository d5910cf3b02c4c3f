import Testing

@testable import Telemetry

@Suite struct HealthTests {
    @Test func `each transition is logged once`() {
        let memory = LogMemory()
        let health = Health(of: "storage", log: memory.log, now: { 0 })
        #expect(health.isHealthy)
        health.recover()
        health.lose(reason: "disk full")
        health.lose(reason: "disk full")
        #expect(!health.isHealthy)
        health.recover()
        health.recover()
        #expect(health.isHealthy)
        health.lose(reason: "gone")
        #expect(health.lossCount == 2)
        #expect(
            memory.messages() == ["storage lost", "storage recovered", "storage lost"])
    }
}

@Suite struct RepeatLimitTests {
    @Test func `the first is said, then one per interval with the number held back`() {
        var limit = RepeatLimit(interval: .seconds(1))
        #expect(limit.admit(at: 0) == 0)
        #expect(limit.admit(at: 1) == nil)
        #expect(limit.admit(at: 999_999_999) == nil)
        #expect(limit.admit(at: 1_000_000_000) == 2)
        #expect(limit.admit(at: 5_000_000_000) == 0)
    }
}

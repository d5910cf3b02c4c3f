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

import CLoad
import Testing

struct ScheduleTests {
    @Test(arguments: [1, 3, 7, 1000, 30_000, 999_983] as [UInt64])
    func `an event is due at its intended time and not before`(rate: UInt64) {
        var schedule = ld_schedule(start_ns: 1_000_000_007, events_per_second: rate)
        let indices = Array(0...1000) + [1_000_003, 10_000_000_019] as [UInt64]
        for index in indices {
            let intended = ld_schedule_intended_ns(&schedule, index)
            #expect(ld_schedule_due(&schedule, intended) >= index + 1)
            #expect(ld_schedule_due(&schedule, intended - 1) <= index)
        }
    }

    @Test func `a second holds its rate, however late one looks`() {
        var schedule = ld_schedule(start_ns: 5, events_per_second: 30_000)
        #expect(ld_schedule_due(&schedule, 4) == 0)
        #expect(ld_schedule_due(&schedule, 5) == 1)
        // The first event of the next second is the one after.
        #expect(ld_schedule_due(&schedule, 5 + 999_999_999) == 30_000)
        #expect(ld_schedule_due(&schedule, 5 + 3_600_000_000_000) == 3600 * 30_000 + 1)
    }
}

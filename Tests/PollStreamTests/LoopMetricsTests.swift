import Reactor
import Telemetry
import Testing

@testable import Gateway
@testable import PollStream

struct LoopMetricsTests {
    private let metrics = LoopMetrics(
        readers: [], gateways: [GatewayStatistics()], connectionLimit: 1,
        budget: ConnectionBudget(connectionLimit: 1), tickNanoseconds: 1)

    @Test func `loops and rooms measure in the same buckets`() {
        #expect(Durations.boundsNanoseconds == Histogram.latencyBounds)
    }

    @Test func `every limit of the command line is counted under its name`() {
        let ledger = ["waiting-ballots", "commit-timeout"]
        let counted = metrics.limits.map(\.name) + ledger
        #expect(Set(counted).count == counted.count)
        for limit in Limit.all { #expect(counted.contains(limit.name), "\(limit.name)") }
        for rate in Setting.all.map(\.name) where rate.hasPrefix("rate-") {
            #expect(counted.contains(rate), "\(rate)")
        }
    }

    @Test func `answers to votes have the codes that clients see`() {
        for answer in GatewayStatistics.VoteAnswer.allCases {
            let isCode = answer.name.utf8.allSatisfy { $0 == 0x5F || (0x61...0x7A).contains($0) }
            #expect(isCode, "\(answer.name)")
        }
        #expect(GatewayStatistics.VoteAnswer(APIError.rateLimited) == .rateLimited)
        #expect(GatewayStatistics.VoteAnswer(APIError.voterRequired) == .voterRequired)
        #expect(GatewayStatistics.VoteAnswer(APIError.pollClosed) == .pollClosed)
        #expect(GatewayStatistics.VoteAnswer(APIError.malformedJSON) == .invalid)
    }
}

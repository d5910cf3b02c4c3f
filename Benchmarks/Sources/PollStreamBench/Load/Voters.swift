import CLoad

/// Connections that cast ballots; see voters.h.
struct Voters: ~Copyable {
    let handle: OpaquePointer

    struct Plan {
        var connections: Int
        var inFlight: Int
        var overHTTP: Bool
        /// Each ballot is for the next; all have as many options.
        var polls: [GatewayAPI.Poll]
    }

    init(of endpoint: Endpoint, sources: Int, plan: Plan) throws {
        var raw = ld_vote_plan()
        raw.target = endpoint.target(sources: sources)
        raw.connection_count = Int32(plan.connections)
        raw.in_flight_count = Int32(plan.inFlight)
        raw.over_http = plan.overHTTP
        raw.poll_count = Int32(plan.polls.count)
        raw.option_count = Int32(plan.polls[0].options.count)
        var created: OpaquePointer?
        let options = plan.polls.flatMap { $0.options.map(\.id) }
        let result = plan.polls.map(\.id).withUnsafeBufferPointer { polls in
            options.withUnsafeBufferPointer { options in
                raw.poll_ids = polls.baseAddress
                raw.option_ids = options.baseAddress
                return ld_voters_create(&created, &raw, nanoseconds(20))
            }
        }
        guard let created else { throw Failure.load("no memory for the voters") }
        do {
            try Failure.check(result, "connecting voters", ld_voters_reason(created))
        } catch {
            ld_voters_destroy(created)
            throw error
        }
        handle = created
    }

    deinit {
        ld_voters_destroy(handle)
    }

    var counts: ld_vote_counts { ld_voters_counts(handle) }

    /// Zero: a closed loop.
    func start(votesPerSecond: Int) {
        ld_voters_start(handle, UInt64(votesPerSecond))
    }

    /// Casts no more and waits for the answers that are missing.
    func finish(seconds: Double, latencies: inout Distribution) throws {
        ld_voters_stop(handle)
        try run(seconds: seconds, latencies: &latencies)
    }

    /// Casts and reads for that long.
    func run(seconds: Double, latencies: inout Distribution) throws {
        let until = ld_now_ns() + nanoseconds(seconds)
        while true {
            let result = ld_voters_run(handle, until)
            var count: Int32 = 0
            let first = ld_voters_latencies(handle, &count)
            latencies.record(UnsafeBufferPointer(start: first, count: Int(count)))
            guard Int(result) == Int(LD_FULL) else {
                return try Failure.check(result, "casting", ld_voters_reason(handle))
            }
        }
    }

    /// Answers by what they say.
    var outcomes: [(name: String, count: UInt64)] {
        let outcomes = ld_voters_outcomes(handle).pointee
        return withUnsafeBytes(of: outcomes.all) { bytes in
            bytes.bindMemory(to: ld_outcome.self).prefix(Int(outcomes.count)).map { outcome in
                let name = withUnsafeBytes(of: outcome.name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
                return (name, outcome.count)
            }
        }
    }
}

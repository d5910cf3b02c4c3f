import CLoad

/// Many WebSockets that watch one poll, or several; see subscribers.h.
struct Subscribers: ~Copyable {
    let handle: OpaquePointer
    let count: Int

    /// What each watches.
    enum Subject {
        /// The poll of the path.
        case path
        /// So many of these, in a ring.
        case polls([GatewayAPI.Poll], each: Int)
        /// What this message asks another's server for; nil: nothing needs to be said.
        case foreign(firstMessage: String?)
    }

    init(
        of endpoint: Endpoint, sources: Int, path: String, subject: Subject = .path, count: Int
    ) throws {
        var target = endpoint.target(sources: sources)
        var created: OpaquePointer?
        let result = ld_subscribers_create(&created, &target, path, Int32(count))
        guard Int(result) == Int(LD_OK), let created else {
            throw Failure.load("no memory for \(count) subscribers")
        }
        guard Self.prepare(created, subject) else {
            ld_subscribers_destroy(created)
            throw Failure.load("no memory for \(count) subscribers")
        }
        handle = created
        self.count = count
    }

    private static func prepare(_ handle: OpaquePointer, _ subject: Subject) -> Bool {
        switch subject {
        case .path: return true
        case .polls(let polls, let each):
            let ids = polls.map(\.id)
            return Int(ld_subscribers_follow(handle, ids, Int32(ids.count), Int32(each)))
                == Int(LD_OK)
        case .foreign(firstMessage: nil):
            return Int(ld_subscribers_say(handle, nil, 0)) == Int(LD_OK)
        case .foreign(firstMessage: .some(var message)):
            return message.withUTF8 { bytes in
                bytes.withMemoryRebound(to: CChar.self) {
                    Int(ld_subscribers_say(handle, $0.baseAddress, $0.count)) == Int(LD_OK)
                }
            }
        }
    }

    deinit {
        ld_subscribers_destroy(handle)
    }

    /// Connects all; `latencies` get the time from each connect() to its snapshot. What came up is
    /// told even where not all did.
    func open(concurrency: Int, latencies: inout Distribution) -> (ld_opening, Failure?) {
        var opening = ld_opening()
        let result = ld_subscribers_open(handle, Int32(concurrency), nanoseconds(60), &opening)
        record(into: &latencies)
        let up = "opening \(count) subscribers, \(opening.ready_count) are up"
        return (opening, failure(result, up))
    }

    /// Sends a change and waits until everybody has it; `latencies` get the time from the sending
    /// to each arrival. What it reached is told even where that is not everybody.
    func round(_ request: String, awaitsFrames: Bool, latencies: inout Distribution) -> (
        ld_round, Failure?
    ) {
        var request = request
        var round = ld_round()
        let result = request.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                ld_subscribers_round(
                    handle, $0.baseAddress, $0.count, awaitsFrames, nanoseconds(10), &round)
            }
        }
        record(into: &latencies)
        return (round, failure(result, "a change reached \(round.reached_count) of \(count)"))
    }

    /// As a round whose change somebody else makes, or has just made, at `startedNanoseconds`.
    func await(
        from startedNanoseconds: UInt64, latencies: inout Distribution
    ) -> (ld_round, Failure?) {
        var round = ld_round()
        let result = ld_subscribers_await(handle, startedNanoseconds, nanoseconds(10), &round)
        record(into: &latencies)
        return (round, failure(result, "a change reached \(round.reached_count) of \(count)"))
    }

    /// From here on so many leave every second while it is polled, and join again; 0 ends it.
    func beginChurn(perSecond rate: Int, forSeconds seconds: Double) throws {
        guard
            Int(
                ld_subscribers_begin_churn(
                    handle, UInt64(rate), Int(Double(rate) * (seconds + 10)))) == Int(LD_OK)
        else { throw Failure.load("no memory for \(rate) joins a second") }
    }

    /// From here on whoever is closed comes back.
    func persist(returns capacity: Int) throws {
        guard Int(ld_subscribers_persist(handle, capacity)) == Int(LD_OK) else {
            throw Failure.load("no memory for \(capacity) returns")
        }
    }

    /// Each: when it was lost, and when it was back with a snapshot; `ld_now_ns`' clock.
    var returns: [(lost: UInt64, back: UInt64)] {
        var count = 0
        let first = ld_subscribers_returns(handle, &count)
        return UnsafeBufferPointer(start: first, count: count).map { ($0.lost_ns, $0.back_ns) }
    }

    func countHolding(_ revision: UInt64) -> Int {
        Int(ld_subscribers_holding(handle, revision))
    }

    var churn: ld_churn { ld_subscribers_churn(handle) }

    /// Those of the last opening, round or churn.
    func record(into latencies: inout Distribution) {
        var count: Int32 = 0
        let first = ld_subscribers_latencies(handle, &count)
        latencies.record(UnsafeBufferPointer(start: first, count: Int(count)))
    }

    /// Reads and answers pings. Returns the frames that came.
    @discardableResult
    func rest(seconds: Double) throws -> UInt64 {
        var frames: UInt64 = 0
        try check(ld_subscribers_rest(handle, nanoseconds(seconds), &frames), "resting")
        return frames
    }

    private func failure(_ result: Int32, _ what: String) -> Failure? {
        do {
            try check(result, what)
            return nil
        } catch {
            return error
        }
    }

    private func check(_ result: Int32, _ what: String) throws(Failure) {
        try Failure.check(result, what, ld_subscribers_reason(handle))
    }
}

func nanoseconds(_ seconds: Double) -> UInt64 {
    UInt64(seconds * 1e9)
}

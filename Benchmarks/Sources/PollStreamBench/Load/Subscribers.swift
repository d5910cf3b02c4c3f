import CLoad

/// Many WebSockets that watch one poll; see subscribers.h.
struct Subscribers: ~Copyable {
    let handle: OpaquePointer
    let count: Int

    init(of endpoint: Endpoint, sources: Int, path: String, count: Int) throws {
        var target = endpoint.target(sources: sources)
        var created: OpaquePointer?
        let result = ld_subscribers_create(&created, &target, path, Int32(count))
        guard Int(result) == Int(LD_OK), let created else {
            throw Failure.load("no memory for \(count) subscribers")
        }
        handle = created
        self.count = count
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

    /// Reads and answers pings. Returns the frames that came.
    @discardableResult
    func rest(seconds: Double) throws -> UInt64 {
        var frames: UInt64 = 0
        try check(ld_subscribers_rest(handle, nanoseconds(seconds), &frames), "resting")
        return frames
    }

    private func record(into latencies: inout Distribution) {
        var count: Int32 = 0
        let first = ld_subscribers_latencies(handle, &count)
        latencies.record(UnsafeBufferPointer(start: first, count: Int(count)))
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

import CReactor

/// Counters of one loop, or of several added up. Numbers are totals since the start unless they say
/// `current`.
package struct LoopStatistics: Sendable {
    private var raw = ps_statistics()

    package var acceptedConnections: UInt64 { raw.accepted }
    package var refusedConnections: UInt64 { raw.refused }
    package var closedConnections: UInt64 { raw.closed }
    package var currentHTTPConnections: UInt64 { raw.http_connections }
    package var currentWebSocketConnections: UInt64 { raw.websocket_connections }
    package var currentStreamConnections: UInt64 { raw.stream_connections }
    /// Of those, the ones whose end has begun: HTTP, WebSocket, stream.
    package var currentClosingConnections: (http: UInt64, webSocket: UInt64, stream: UInt64) {
        raw.closing_connections
    }
    /// For which the kernel takes no more at the moment.
    package var currentBlockedConnections: UInt64 { raw.blocked_connections }
    package var requests: UInt64 { raw.requests }
    /// By the first digit of their status; the operators' own are left out.
    package var responses: [UInt64] { numbers(\.responses) }
    package var handshakes: UInt64 { raw.handshakes }
    package var messages: UInt64 { raw.messages }
    package var malformedRequests: UInt64 { raw.malformed_requests }
    package var protocolCloses: UInt64 { raw.protocol_closes }
    package var framesOwed: UInt64 { raw.frames_owed }
    package var framesSent: UInt64 { raw.frames_sent }
    package var framesConflated: UInt64 { raw.frames_conflated }
    package var framesDropped: UInt64 { raw.frames_dropped }
    package var bytesReceived: UInt64 { raw.bytes_received }
    package var bytesSent: UInt64 { raw.bytes_sent }
    package var sends: UInt64 { raw.sends }
    package var blockedSends: UInt64 { raw.sends_blocked }
    package var sweeps: UInt64 { raw.sweeps }
    package var currentSubscriptions: UInt64 { raw.subscriptions }
    package var currentDeflatingConnections: UInt64 { raw.deflating_connections }
    package var messagesDeflated: UInt64 { raw.messages_deflated }
    package var bytesBeforeDeflate: UInt64 { raw.bytes_before_deflate }
    package var bytesAfterDeflate: UInt64 { raw.bytes_after_deflate }
    package var messagesInflated: UInt64 { raw.messages_inflated }
    package var currentTLSConnections: UInt64 { raw.tls_connections }
    package var tlsHandshakes: UInt64 { raw.tls_handshakes }
    package var tlsResumptions: UInt64 { raw.tls_resumptions }
    package var tlsFailures: UInt64 { raw.tls_failures }

    /// From the first subscriber to the last.
    package var sweepDurations: Durations { Durations(raw.sweep_durations) }
    /// How much later than the tick allows a sweep began.
    package var tickStretches: Durations { Durations(raw.tick_stretches) }
    /// From a ballot's arrival to the end of the sweep that shows it.
    package var voteToFrame: Durations { Durations(raw.vote_to_frame) }
    /// What a loop does between two sleeps.
    package var turns: Durations { Durations(raw.turns) }
    /// How late a loop's own timer came.
    package var lags: Durations { Durations(raw.lags) }
    package var longestSweepNanoseconds: UInt64 { raw.sweep_ns_max }
    package var longestTurnNanoseconds: UInt64 { raw.turn_ns_max }

    /// How often somebody ran into a limit, by what `--limit` calls it, and some that it does not
    /// name: `descriptors` of the system, `header-fields`, `not-reading` for two ping periods, and
    /// `idle-connections`, closed for who came when there was no other room.
    package var limits: [(name: String, count: UInt64)] {
        zip(Self.limitNames, numbers(\.limits)).map { (name: $0, count: $1) }
    }

    package func count(ofLimit name: String) -> UInt64 {
        limits.first { $0.name == name }?.count ?? 0
    }

    /// In the order of `ps_limit`.
    private static let limitNames = [
        "request-line-bytes", "head-bytes", "header-fields", "body-bytes", "message-bytes",
        "message-fragments", "outbox-bytes", "header-timeout", "body-timeout", "idle-timeout",
        "close-timeout", "proxy-timeout", "tls-timeout", "ping-period", "not-reading",
        "connections", "idle-connections", "descriptors", "buffer-bytes",
    ]

    /// What was turned away because buffers were short of memory: requests with 503, messages with 1013,
    /// connections with 503, readers who did not take what they were owed.
    package var shed: [(name: String, count: UInt64)] {
        zip(["requests", "messages", "connections", "readers"], numbers(\.shed)).map {
            (name: $0, count: $1)
        }
    }

    fileprivate init(of handle: OpaquePointer) { ps_loop_statistics(handle, &raw) }

    /// Adds up what several loops have counted. The longest of all is the longest.
    package init(adding parts: [LoopStatistics]) {
        let longestSweep = parts.map(\.longestSweepNanoseconds).max() ?? 0
        let longestTurn = parts.map(\.longestTurnNanoseconds).max() ?? 0
        withUnsafeMutableBytes(of: &raw) { sum in
            let sum = sum.bindMemory(to: UInt64.self)
            for part in parts {
                withUnsafeBytes(of: part.raw) { part in
                    for (index, number) in part.bindMemory(to: UInt64.self).enumerated() {
                        sum[index] &+= number
                    }
                }
            }
        }
        raw.sweep_ns_max = longestSweep
        raw.turn_ns_max = longestTurn
    }

    /// A C array of numbers as a Swift one.
    private func numbers<Numbers>(_ path: KeyPath<ps_statistics, Numbers>) -> [UInt64] {
        withUnsafeBytes(of: raw[keyPath: path]) { Array($0.bindMemory(to: UInt64.self)) }
    }
}

/// How often a duration fell between fixed bounds.
package struct Durations: Sendable {
    /// Not cumulative; the last is above all bounds.
    package let counts: [UInt64]
    package let totalNanoseconds: UInt64

    /// Of all buckets but the last, ascending.
    package static let boundsNanoseconds: [Int64] = withUnsafeBytes(of: ps_duration_bounds_ns) {
        $0.bindMemory(to: UInt64.self).map(Int64.init)
    }

    package var count: UInt64 { counts.reduce(0, +) }

    fileprivate init(_ raw: ps_durations) {
        counts = withUnsafeBytes(of: raw.buckets) { Array($0.bindMemory(to: UInt64.self)) }
        totalNanoseconds = raw.ns_total
    }
}

/// Reads a loop's counters from any thread; must not outlive it.
package struct StatisticsReader: @unchecked Sendable {
    // `ps_loop_statistics` reads atomics.
    private let handle: OpaquePointer

    fileprivate init(handle: OpaquePointer) { self.handle = handle }

    package func read() -> LoopStatistics { LoopStatistics(of: handle) }
}

extension Loop {
    package var statistics: StatisticsReader { StatisticsReader(handle: handle) }
}

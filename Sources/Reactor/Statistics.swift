import CReactor

/// One loop's counters. Numbers are totals since the start unless they say `current`.
package struct LoopStatistics: Sendable {
    private var raw = ps_statistics()

    package var acceptedConnections: UInt64 { raw.accepted }
    package var refusedConnections: UInt64 { raw.refused }
    package var closedConnections: UInt64 { raw.closed }
    package var currentHTTPConnections: UInt64 { raw.http_connections }
    package var currentWebSocketConnections: UInt64 { raw.websocket_connections }
    package var currentStreamConnections: UInt64 { raw.stream_connections }
    package var requests: UInt64 { raw.requests }
    package var handshakes: UInt64 { raw.handshakes }
    package var messages: UInt64 { raw.messages }
    package var malformedRequests: UInt64 { raw.malformed_requests }
    package var protocolCloses: UInt64 { raw.protocol_closes }
    package var timeouts: UInt64 { raw.timeouts }
    package var framesOwed: UInt64 { raw.frames_owed }
    package var framesSent: UInt64 { raw.frames_sent }
    package var framesConflated: UInt64 { raw.frames_conflated }
    package var framesDropped: UInt64 { raw.frames_dropped }
    package var bytesReceived: UInt64 { raw.bytes_received }
    package var bytesSent: UInt64 { raw.bytes_sent }
    package var sends: UInt64 { raw.sends }
    package var blockedSends: UInt64 { raw.sends_blocked }
    package var sweeps: UInt64 { raw.sweeps }
    package var sweepNanoseconds: UInt64 { raw.sweep_ns_total }
    package var longestSweepNanoseconds: UInt64 { raw.sweep_ns_max }
    package var currentSubscriptions: UInt64 { raw.subscriptions }
    package var currentDeflatingConnections: UInt64 { raw.deflating_connections }
    package var messagesDeflated: UInt64 { raw.messages_deflated }
    package var bytesBeforeDeflate: UInt64 { raw.bytes_before_deflate }
    package var bytesAfterDeflate: UInt64 { raw.bytes_after_deflate }
    package var messagesInflated: UInt64 { raw.messages_inflated }
    package var slowCloses: UInt64 { raw.slow_closes }
    package var outboxCloses: UInt64 { raw.outbox_closes }
    package var longestTurnNanoseconds: UInt64 { raw.turn_ns_max }

    fileprivate init(of handle: OpaquePointer) { ps_loop_statistics(handle, &raw) }
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

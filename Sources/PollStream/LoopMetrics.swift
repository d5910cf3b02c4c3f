import Reactor
import Telemetry

/// The loops' part of `/metrics`: each counts for itself without a lock, and a scrape adds up.
struct LoopMetrics: Sendable {
    let readers: [StatisticsReader]

    func write(to text: inout MetricsText) {
        let loops = readers.map { $0.read() }
        func sum(_ number: KeyPath<LoopStatistics, UInt64>) -> UInt64 {
            loops.reduce(0) { $0 + $1[keyPath: number] }
        }
        func highest(_ number: KeyPath<LoopStatistics, UInt64>) -> Double {
            Double(loops.map { $0[keyPath: number] }.max() ?? 0) / 1e9
        }
        text.gauge(
            "pollstream_connections", "Open connections by kind.", by: "kind",
            [
                ("http", Int64(sum(\.currentHTTPConnections))),
                ("websocket", Int64(sum(\.currentWebSocketConnections))),
                ("stream", Int64(sum(\.currentStreamConnections))),
            ])
        text.counter(
            "pollstream_connections_accepted_total", "Connections accepted.",
            sum(\.acceptedConnections))
        text.counter(
            "pollstream_connections_refused_total",
            "Connections answered with 503 because of the connection limit or for want of descriptors.",
            sum(\.refusedConnections))
        text.counter(
            "pollstream_connections_closed_total", "Connections that ended.",
            sum(\.closedConnections))
        text.counter("pollstream_http_requests_total", "Whole requests.", sum(\.requests))
        text.counter(
            "pollstream_http_malformed_requests_total",
            "Requests refused as malformed or past a limit.", sum(\.malformedRequests))
        text.counter(
            "pollstream_websocket_handshakes_total", "Switches to WebSocket.", sum(\.handshakes))
        text.counter(
            "pollstream_websocket_messages_total", "Whole messages from clients.",
            sum(\.messages))
        text.counter(
            "pollstream_websocket_protocol_closes_total",
            "WebSockets closed because the peer broke the protocol.", sum(\.protocolCloses))
        text.counter(
            "pollstream_timeouts_total", "Connections that ran into a deadline.",
            sum(\.timeouts))
        text.gauge(
            "pollstream_subscriptions", "Subscriptions to polls.",
            Double(sum(\.currentSubscriptions)))
        text.counter(
            "pollstream_frames_owed_total",
            "Frames published, times the subscribers of that moment.", sum(\.framesOwed))
        text.counter(
            "pollstream_frames_sent_total", "Frames handed to the kernel.", sum(\.framesSent))
        text.counter(
            "pollstream_frames_conflated_total", "Frames replaced by a newer one before they left.",
            sum(\.framesConflated))
        text.counter(
            "pollstream_frames_dropped_total", "Frames owed to subscribers that left.",
            sum(\.framesDropped))
        text.counter(
            "pollstream_received_bytes_total", "Bytes read from sockets.", sum(\.bytesReceived))
        text.counter("pollstream_sent_bytes_total", "Bytes written to sockets.", sum(\.bytesSent))
        text.counter("pollstream_sends_total", "Calls that write to a socket.", sum(\.sends))
        text.counter(
            "pollstream_sends_blocked_total",
            "Writes that the kernel took only in part or not at all.",
            sum(\.blockedSends))
        text.counter("pollstream_sweeps_total", "Sweeps over a topic's subscribers.", sum(\.sweeps))
        text.counter(
            "pollstream_sweep_seconds_total", "Time from the start of a sweep to its end.",
            seconds: Double(sum(\.sweepNanoseconds)) / 1e9)
        text.gauge(
            "pollstream_sweep_longest_seconds", "The longest sweep so far.",
            highest(\.longestSweepNanoseconds))
        text.gauge(
            "pollstream_loop_turn_longest_seconds", "The longest turn of a loop so far.",
            highest(\.longestTurnNanoseconds))
        text.gauge(
            "pollstream_deflating_connections", "WebSockets with permessage-deflate.",
            Double(sum(\.currentDeflatingConnections)))
        text.counter(
            "pollstream_deflated_messages_total", "Messages compressed, each once for all.",
            sum(\.messagesDeflated))
        text.counter(
            "pollstream_deflate_in_bytes_total", "Bytes of messages before they were compressed.",
            sum(\.bytesBeforeDeflate))
        text.counter(
            "pollstream_deflate_out_bytes_total", "Bytes of messages that were compressed.",
            sum(\.bytesAfterDeflate))
        text.counter(
            "pollstream_inflated_messages_total", "Compressed messages from clients.",
            sum(\.messagesInflated))
        text.counter(
            "pollstream_slow_closes_total",
            "Connections closed because they took no byte for long.",
            sum(\.slowCloses))
        text.counter(
            "pollstream_outbox_closes_total", "Connections closed because their outbox was full.",
            sum(\.outboxCloses))
    }
}

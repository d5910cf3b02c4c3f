import Gateway
import Reactor
import Telemetry

/// The loops' part of `/metrics`: each counts for itself without a lock, and a scrape adds up.
struct LoopMetrics: Sendable {
    let readers: [StatisticsReader]
    let gateways: [GatewayStatistics]
    let connectionLimit: Int
    let budget: ConnectionBudget
    let tickNanoseconds: UInt64

    func write(to text: inout MetricsText) {
        let sum = LoopStatistics(adding: readers.map { $0.read() })
        writeConnections(sum, to: &text)
        writeBuffers(sum, to: &text)
        writeRequests(sum, to: &text)
        writeFanOut(sum, to: &text)
        writeTurns(sum, to: &text)
        GatewayStatistics.write(gateways, to: &text)
    }

    /// Limits that the loops and their gateways keep, by name.
    var limits: [(name: String, count: UInt64)] {
        LoopStatistics(adding: readers.map { $0.read() }).limits
            + GatewayStatistics.limits(of: gateways)
    }

    private func writeConnections(_ sum: LoopStatistics, to text: inout MetricsText) {
        let closing = sum.currentClosingConnections
        let kinds: [(name: String, all: UInt64, closing: UInt64)] = [
            ("http", sum.currentHTTPConnections, closing.http),
            ("websocket", sum.currentWebSocketConnections, closing.webSocket),
            ("stream", sum.currentStreamConnections, closing.stream),
        ]
        text.gauge(
            "pollstream_connections", "Connections by kind, and whether their end has begun.",
            samples: kinds.flatMap { kind in
                // Two numbers that are read one after the other may contradict each other.
                let open = kind.all > kind.closing ? kind.all - kind.closing : 0
                return [("open", open), ("closing", kind.closing)].map {
                    (labels: [("kind", kind.name), ("state", $0.0)], value: Int64($0.1))
                }
            })
        text.gauge(
            "pollstream_connections_limit", "Connections that the process takes.", connectionLimit)
        text.gauge(
            "pollstream_blocked_connections",
            "Connections for which the kernel takes no more: slow readers.",
            Double(sum.currentBlockedConnections))
        text.counter(
            "pollstream_connections_accepted_total", "Connections accepted.",
            sum.acceptedConnections)
        text.counter(
            "pollstream_connections_refused_total",
            "Connections answered with 503 for want of descriptors or memory, or past the limit.",
            sum.refusedConnections)
        text.counter(
            "pollstream_connections_closed_total", "Connections that ended.",
            sum.closedConnections)
        text.gauge(
            "pollstream_tls_connections", "Connections that have begun a TLS handshake.",
            Double(sum.currentTLSConnections))
        text.counter(
            "pollstream_tls_handshakes_total", "TLS handshakes that were completed.", by: "kind",
            [
                ("full", sum.tlsHandshakes &- sum.tlsResumptions),
                ("resumed", sum.tlsResumptions),
            ])
        text.counter(
            "pollstream_tls_failures_total",
            "Connections closed because the peer spoke no TLS, broke it, or offered too little.",
            sum.tlsFailures)
        text.counter(
            "pollstream_received_bytes_total", "Bytes read from sockets.", sum.bytesReceived)
        text.counter("pollstream_sent_bytes_total", "Bytes written to sockets.", sum.bytesSent)
        text.counter("pollstream_sends_total", "Calls that write to a socket.", sum.sends)
        text.counter(
            "pollstream_sends_blocked_total",
            "Writes that the kernel took only in part or not at all.", sum.blockedSends)
    }

    private func writeBuffers(_ sum: LoopStatistics, to text: inout MetricsText) {
        text.gauge(
            "pollstream_buffer_bytes",
            "Held by buffers of connections: unfinished requests and messages, unsent answers, frames.",
            Double(budget.bufferBytes))
        text.gauge(
            "pollstream_buffer_bytes_limit", "At three quarters of this, work is turned away.",
            Double(budget.bufferLimit))
        text.counter(
            "pollstream_buffer_shed_total",
            "Turned away because buffers were short of memory.", by: "what",
            sum.shed.map { (label: $0.name, value: $0.count) })
    }

    private func writeRequests(_ sum: LoopStatistics, to text: inout MetricsText) {
        text.counter("pollstream_http_requests_total", "Whole requests.", sum.requests)
        text.counter(
            "pollstream_http_responses_total",
            "Answers by the class of their status; operators' own are left out.", by: "class",
            (1...5).map { (label: "\($0)xx", value: sum.responses[$0]) })
        text.counter(
            "pollstream_http_malformed_requests_total",
            "Requests refused as malformed or past a limit.", sum.malformedRequests)
        text.counter(
            "pollstream_websocket_handshakes_total", "Switches to WebSocket.", sum.handshakes)
        text.counter(
            "pollstream_websocket_messages_total", "Whole messages from clients.", sum.messages)
        text.counter(
            "pollstream_websocket_protocol_closes_total",
            "WebSockets closed because the peer broke the protocol.", sum.protocolCloses)
        text.gauge(
            "pollstream_deflating_connections", "WebSockets with permessage-deflate.",
            Double(sum.currentDeflatingConnections))
        text.counter(
            "pollstream_deflated_messages_total", "Messages compressed, each once for all.",
            sum.messagesDeflated)
        text.counter(
            "pollstream_deflate_in_bytes_total", "Bytes of messages before they were compressed.",
            sum.bytesBeforeDeflate)
        text.counter(
            "pollstream_deflate_out_bytes_total", "Bytes of messages that were compressed.",
            sum.bytesAfterDeflate)
        text.counter(
            "pollstream_inflated_messages_total", "Compressed messages from clients.",
            sum.messagesInflated)
    }

    private func writeFanOut(_ sum: LoopStatistics, to text: inout MetricsText) {
        text.gauge(
            "pollstream_subscriptions", "Subscriptions to polls.", Double(sum.currentSubscriptions))
        text.counter(
            "pollstream_frames_owed_total",
            "Frames published, times the subscribers of that moment.", sum.framesOwed)
        text.counter(
            "pollstream_frames_sent_total", "Frames handed to the kernel.", sum.framesSent)
        text.counter(
            "pollstream_frames_conflated_total", "Frames replaced by a newer one before they left.",
            sum.framesConflated)
        text.counter(
            "pollstream_frames_dropped_total", "Frames owed to subscribers that left.",
            sum.framesDropped)
        text.gauge(
            "pollstream_tick_seconds", "The least time between two sweeps of a topic.",
            Double(tickNanoseconds) / 1e9)
        text.histogram(
            "pollstream_sweep_seconds",
            "From the first subscriber of a topic that a change is sent to, to the last.",
            sum.sweepDurations)
        text.histogram(
            "pollstream_tick_stretch_seconds",
            "How much later than the tick allows a sweep began.", sum.tickStretches)
        text.histogram(
            "pollstream_vote_to_frame_seconds",
            "From a ballot's last byte to the end of the sweep that shows it, in whole milliseconds.",
            sum.voteToFrame)
        text.gauge(
            "pollstream_sweep_longest_seconds", "The longest sweep so far.",
            Double(sum.longestSweepNanoseconds) / 1e9)
    }

    private func writeTurns(_ sum: LoopStatistics, to text: inout MetricsText) {
        text.gauge("pollstream_loops", "Event loops, a thread each.", readers.count)
        text.histogram(
            "pollstream_loop_turn_seconds", "What a loop does between two sleeps.", sum.turns)
        text.gauge(
            "pollstream_loop_turn_longest_seconds", "The longest turn of a loop so far.",
            Double(sum.longestTurnNanoseconds) / 1e9)
        text.histogram(
            "pollstream_loop_lag_seconds",
            "How late a loop's own timer came: what everything else waits, too.", sum.lags)
    }
}

extension MetricsText {
    fileprivate mutating func histogram(_ name: String, _ help: String, _ durations: Durations) {
        histogram(
            name, help, bounds: Durations.boundsNanoseconds, counts: durations.counts,
            sum: Double(durations.totalNanoseconds), unitsPerBase: 1e9)
    }
}

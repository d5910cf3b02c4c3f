import Synchronization
import Telemetry

/// The relay's counters, since the start.
final class RelayStatistics: Sendable {
    let published = Counter()
    let received = Counter()
    /// Of this process, which its loops know already.
    let echoes = Counter()
    let ignored = Counter()
    let refused = Counter()
    let dropped = Counter()
    let connects = Counter()
    let failures = Counter()
    /// Nanoseconds.
    let tallyAges = Histogram(bounds: Histogram.latencyBounds)
    let isPublishing = Atomic<Bool>(false)
    let isSubscribed = Atomic<Bool>(false)
    /// That the subscriber is connected to.
    let nodes = Atomic<Int>(0)

    func write(to text: inout MetricsText) {
        text.counter(
            "pollstream_relay_published_total", "Messages that Redis took.", published.value)
        text.counter(
            "pollstream_relay_received_total", "Messages of other gateways.", received.value)
        text.counter(
            "pollstream_relay_echoes_total", "Messages of this gateway that came back.",
            echoes.value)
        text.counter(
            "pollstream_relay_ignored_total",
            "Messages of another version, not sealed by a gateway on this database, or damaged.",
            ignored.value)
        text.counter(
            "pollstream_relay_refused_total", "Messages that Redis refused.", refused.value)
        text.counter(
            "pollstream_relay_dropped_total",
            "News that found no room while Redis was slow or away.", dropped.value)
        text.counter(
            "pollstream_relay_connects_total", "Connections made to Redis.", connects.value)
        text.counter(
            "pollstream_relay_failures_total",
            "Connections to Redis that were lost, or could not be made.", failures.value)
        text.histogram(
            "pollstream_relay_vote_to_heard_seconds",
            "From a ballot's last byte at another gateway to its tally here, by the clocks of both.",
            tallyAges, unitsPerBase: 1e9)
        text.gauge(
            "pollstream_relay_publishing", "Whether Redis takes messages.",
            isPublishing.load(ordering: .relaxed) ? 1 : 0)
        text.gauge(
            "pollstream_relay_subscribed", "Whether Redis brings messages.",
            isSubscribed.load(ordering: .relaxed) ? 1 : 0)
        text.gauge(
            "pollstream_relay_nodes", "Redis nodes that channels are heard from.",
            nodes.load(ordering: .relaxed))
    }
}

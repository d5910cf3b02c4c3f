import Synchronization
import Telemetry

/// The events' counters, since the start.
final class EventStatistics: Sendable {
    let published = Counter()
    let confirmed = Counter()
    let connects = Counter()
    let failures = Counter()
    let isConnected = Atomic<Bool>(false)
    let isPublishing = Atomic<Bool>(false)
    /// As last counted.
    let backlog = Atomic<Int>(0)

    func write(to text: inout MetricsText) {
        text.counter(
            "pollstream_events_published_total", "Messages sent to the broker.", published.value)
        text.counter(
            "pollstream_events_confirmed_total", "Messages that the broker has taken.",
            confirmed.value)
        text.counter(
            "pollstream_events_connects_total", "Connections made to the broker.", connects.value)
        text.counter(
            "pollstream_events_failures_total",
            "Connections to the broker that were lost, or could not be made.", failures.value)
        text.gauge(
            "pollstream_events_connected", "Whether this gateway has a connection to the broker.",
            isConnected.load(ordering: .relaxed) ? 1 : 0)
        text.gauge(
            "pollstream_events_publishing",
            "Whether this is the one gateway of its database that tells the broker.",
            isPublishing.load(ordering: .relaxed) ? 1 : 0)
        text.gauge(
            "pollstream_events_backlog",
            "Commits and changes in the database that the broker has not taken.",
            backlog.load(ordering: .relaxed))
    }
}

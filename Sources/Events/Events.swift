package import Store
package import Telemetry
import Threads

/// The post room to other services: tells a broker (AMQP 0-9-1) of every counted ballot and every
/// change of a poll, at least once, each poll's in the order of their commits.
///
/// The database keeps them from the commit on until the broker has confirmed them; nobody waits for
/// the broker, and memory holds a page. Of several gateways one publishes at a time.
package final class Events: Sendable {
    private let publisher: EventPublisher
    private let threads = ThreadGroup()

    /// - Parameters:
    ///   - settings: which broker, and how much at once.
    ///   - store: used by its thread only; it records already.
    ///   - log: is told when the broker is lost and when it is back.
    package init(settings: EventSettings, store: any EventStore, log: Log) {
        publisher = EventPublisher(settings: settings, store: store, log: log)
    }

    /// Once, when the database is there.
    package func start() {
        threads.start(name: "events") { [publisher] in publisher.run() }
    }

    /// Something was committed here. From any thread; does not wait.
    package func wake() { publisher.wake() }

    /// Publishes what there is by `deadline`, in monotonic nanoseconds; the rest stays where it is.
    /// - Returns: whether the thread has ended.
    package func stop(until deadline: Int64) -> Bool {
        publisher.stop(until: deadline)
        // Whoever is asked to stop ends a word of the broker, or of the store, later.
        return threads.join(until: deadline + 500_000_000)
    }

    package func write(to text: inout MetricsText) { publisher.write(to: &text) }
}

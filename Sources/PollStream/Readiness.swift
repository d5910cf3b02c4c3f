import Synchronization
import Telemetry

/// Whether this process is to be sent anybody, as `/metrics` shows it.
final class Readiness: Sendable {
    private let check: @Sendable () -> Bool
    private let isDraining = Atomic<Bool>(false)

    /// - Parameter check: whether what we depend on works.
    init(_ check: @escaping @Sendable () -> Bool) { self.check = check }

    var dependenciesWork: Bool { check() }

    func beginDraining() { isDraining.store(true, ordering: .relaxed) }

    func write(to text: inout MetricsText) {
        let isDraining = isDraining.load(ordering: .relaxed)
        text.info("pollstream_build_info", "Version.", [("version", Version.current)])
        text.gauge(
            "pollstream_ready", "1 while /readyz says 200.", !isDraining && check() ? 1 : 0)
        text.gauge("pollstream_draining", "1 while the process drains.", isDraining ? 1 : 0)
    }
}

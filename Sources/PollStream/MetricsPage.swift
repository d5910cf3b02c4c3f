import Telemetry

/// `/metrics`, whose parts exist only after the doors that lead to it.
final class MetricsPage: @unchecked Sendable {
    // Set once, before the first loop runs.
    private var metrics: Metrics?

    func connect(_ metrics: Metrics) { self.metrics = metrics }

    func render() -> [UInt8] { metrics?.render() ?? [] }
}

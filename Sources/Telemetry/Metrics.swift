/// All that `/metrics` shows. `main` gives each room's part at start; each is a closure that reads
/// counters, from whichever thread renders.
package struct Metrics: Sendable {
    package typealias Part = @Sendable (inout MetricsText) -> Void

    private let parts: [Part]

    package init(_ parts: [Part]) { self.parts = parts }

    package func render() -> [UInt8] {
        var text = MetricsText()
        for part in parts { part(&text) }
        return text.bytes
    }
}

extension LogOutput {
    package func write(to text: inout MetricsText) {
        text.counter(
            "pollstream_log_dropped_lines_total", "Log lines lost: output blocked or failed.",
            droppedLines)
    }
}

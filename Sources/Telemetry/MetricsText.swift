/// Writes the Prometheus text format, version 0.0.4
/// (https://prometheus.io/docs/instrumenting/exposition_formats/). Names carry their base unit, and
/// totals end in `_total`.
package struct MetricsText: Sendable {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    /// A total since the start; its name ends in `_total`.
    package mutating func counter(_ name: String, _ help: String, _ value: UInt64) {
        precondition(name.hasSuffix("_total"), "a counter's name ends in _total: \(name)")
        begin(name, help, "counter")
        sample(name, [], "\(value)")
    }

    /// A total of time since the start; its name ends in `_seconds_total`.
    package mutating func counter(_ name: String, _ help: String, seconds: Double) {
        precondition(name.hasSuffix("_seconds_total"), "\(name) counts seconds")
        begin(name, help, "counter")
        sample(name, [], Self.decimal(seconds))
    }

    /// One sample for each case of `Label`.
    package mutating func counter<Label>(
        _ name: String, _ help: String, by label: String, _ family: CounterFamily<Label>
    ) {
        counter(
            name, help, by: label,
            Label.allCases.map { (label: $0.rawValue, value: family[$0].value) })
    }

    /// One sample per value of `label`: distinct ones, bounded in number.
    package mutating func counter(
        _ name: String, _ help: String, by label: String, _ values: [(label: String, value: UInt64)]
    ) {
        precondition(name.hasSuffix("_total"), "a counter's name ends in _total: \(name)")
        begin(name, help, "counter")
        for value in values { sample(name, [(label, value.label)], "\(value.value)") }
    }

    /// What may rise and fall.
    package mutating func gauge(_ name: String, _ help: String, _ value: Double) {
        begin(name, help, "gauge")
        sample(name, [], Self.decimal(value))
    }

    package mutating func gauge(_ name: String, _ help: String, _ value: Int) {
        gauge(name, help, Double(value))
    }

    package mutating func gauge(
        _ name: String, _ help: String, by label: String, _ values: [(label: String, value: Int64)]
    ) {
        begin(name, help, "gauge")
        for value in values { sample(name, [(label, value.label)], "\(value.value)") }
    }

    /// One sample for each set of labels: distinct ones, bounded in number.
    package mutating func gauge(
        _ name: String, _ help: String, samples: [(labels: [(String, String)], value: Int64)]
    ) {
        begin(name, help, "gauge")
        for one in samples { sample(name, one.labels, "\(one.value)") }
    }

    /// What is constant and known as labels only: a version. Its value is 1.
    package mutating func info(_ name: String, _ help: String, _ labels: [(String, String)]) {
        precondition(name.hasSuffix("_info"), "\(name) says what is")
        begin(name, help, "gauge")
        sample(name, labels, "1")
    }

    /// Values are divided by `unitsPerBase`: 1,000,000,000 where nanoseconds were observed and seconds
    /// are shown.
    package mutating func histogram(
        _ name: String, _ help: String, _ histogram: Histogram, unitsPerBase: Double = 1
    ) {
        self.histogram(
            name, help, bounds: histogram.bounds, counts: histogram.counts,
            sum: Double(histogram.sum), unitsPerBase: unitsPerBase)
    }

    /// The counts are not cumulative, and one more than the bounds, for what is above them all.
    package mutating func histogram(
        _ name: String, _ help: String, bounds: [Int64], counts: [UInt64], sum: Double,
        unitsPerBase: Double
    ) {
        precondition(counts.count == bounds.count + 1, "\(name) needs a bucket for each bound")
        begin(name, help, "histogram")
        var cumulative: UInt64 = 0
        for (bound, count) in zip(bounds.map(Optional.some) + [nil], counts) {
            cumulative += count
            let bound = bound.map { Self.decimal(Double($0) / unitsPerBase) } ?? "+Inf"
            sample(name + "_bucket", [("le", bound)], "\(cumulative)")
        }
        sample(name + "_sum", [], Self.decimal(sum / unitsPerBase))
        // The same number as the last bucket, also while others observe.
        sample(name + "_count", [], "\(cumulative)")
    }

    // MARK: Lines

    private mutating func begin(_ name: String, _ help: String, _ kind: String) {
        precondition(Self.isName(name), "not a metric's name: \(name)")
        append("# HELP \(name) \(Self.escaped(help, quotes: false))\n# TYPE \(name) \(kind)\n")
    }

    private mutating func sample(_ name: String, _ labels: [(String, String)], _ value: String) {
        append(name)
        if !labels.isEmpty {
            let pairs = labels.map { "\($0.0)=\"\(Self.escaped($0.1, quotes: true))\"" }
            append("{" + pairs.joined(separator: ",") + "}")
        }
        append(" \(value)\n")
    }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    /// Whole numbers without a fraction.
    private static func decimal(_ number: Double) -> String {
        Int64(exactly: number).map { "\($0)" } ?? "\(number)"
    }

    private static func isName(_ name: String) -> Bool {
        name.utf8.first.map { $0 < 0x30 || $0 > 0x39 } == true
            && name.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F
            }
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

import Foundation

extension Report {
    /// The report for a person: one table per load, a column per run, then ratios and notes.
    var text: String {
        var lines = [
            "",
            "\(scenario), \(startedAt), commit \(commit)",
            "\(machine.processor), \(machine.cores) cores, Linux \(machine.kernel); \(placement)",
            command.joined(separator: " "),
        ]
        var loads: [String] = []
        for run in runs where !loads.contains(run.load) {
            loads.append(run.load)
        }
        for load in loads {
            lines += ["", load] + table(of: runs.filter { $0.load == load })
        }
        if !ratios.isEmpty {
            lines += ["", "ratios, pair by pair"]
            lines += ratios.map(\.text)
        }
        if !notes.isEmpty {
            lines.append("")
            lines += notes
        }
        if wasInterrupted {
            lines += ["", "INTERRUPTED: what was measured until then"]
        }
        lines += problems.map { "PROBLEM: \($0)" }
        return lines.joined(separator: "\n") + "\n"
    }

    private func table(of runs: [Run]) -> [String] {
        var rows: [(name: String, unit: String)] = []
        for figure in runs.flatMap(\.figures)
        where !rows.contains(where: { $0.name == figure.name }) {
            rows.append((figure.name, figure.unit))
        }
        let labels = rows.map { "  \($0.name), \($0.unit)" } + ["  received of expected"]
        let width = (labels.map(\.count).max() ?? 0) + 2
        let columnWidth = 12
        var lines = [
            pad("", width) + runs.map { padLeft($0.server, columnWidth) }.joined()
        ]
        for (row, label) in zip(rows, labels) {
            let cells = runs.map { $0.value(of: row.name).map(format) ?? "-" }
            lines.append(pad(label, width) + cells.map { padLeft($0, columnWidth) }.joined())
        }
        let totals = runs.map { run in
            run.received == run.expected ? "all \(run.expected)" : "\(run.received)/\(run.expected)"
        }
        lines.append(
            pad(labels[rows.count], width) + totals.map { padLeft($0, columnWidth) }.joined())
        return lines
    }
}

extension Ratio {
    fileprivate var text: String {
        guard let median, let low = pairs.min(), let high = pairs.max() else {
            return "  \(load): \(figure): no pairs"
        }
        let aim = target.map { ", target \($0)" } ?? ""
        return "  \(load): \(figure): median \(format(median)) of \(pairs.count) pairs "
            + "(\(format(low)) to \(format(high)))\(aim)"
    }
}

/// Three significant digits or the whole integer part, whichever is more.
private func format(_ value: Double) -> String {
    switch abs(value) {
    case 100...: String(format: "%.0f", value)
    case 10...: String(format: "%.1f", value)
    case 1...: String(format: "%.2f", value)
    default: String(format: "%.3f", value)
    }
}

private func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}

private func padLeft(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(1, width - text.count)) + text
}

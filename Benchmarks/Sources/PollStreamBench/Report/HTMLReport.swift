import Foundation

extension Report {
    /// The report as one HTML file without anything from elsewhere: the tables as text, a plot of
    /// percentiles for each latency, and one over time for each series.
    var html: String {
        var body = [
            "<h1>\(escaped(scenario))</h1>",
            "<p>\(escaped(startedAt)), commit <code>\(escaped(commit))</code><br>"
                + escaped(
                    "\(machine.processor), \(machine.cores) cores, Linux \(machine.kernel); \(placement)"
                )
                + "</p>",
            "<pre>\(escaped(command.joined(separator: " ")))</pre>",
        ]
        if wasInterrupted {
            body.append("<p><strong>Interrupted: what was until then.</strong></p>")
        }
        body += problems.map { "<p class=problem>\(escaped($0))</p>" }
        for load in orderedUnique(runs.map(\.load)) {
            let runs = runs.filter { $0.load == load }
            body.append("<h2>\(escaped(load))</h2>")
            for name in orderedUnique(runs.flatMap { $0.curves.map(\.name) }) {
                body.append(percentilePlot(of: name, in: runs))
            }
            for name in orderedUnique(runs.flatMap { $0.series.map(\.name) }) {
                body.append(timePlot(of: name, in: runs))
            }
        }
        body.append("<h2>Figures</h2><pre>\(escaped(text))</pre>")
        return """
            <!doctype html><html lang=en><meta charset=utf-8>
            <meta name=viewport content="width=device-width">
            <title>\(escaped(scenario)), \(escaped(startedAt))</title>
            <style>\(Self.style)</style>
            \(body.joined(separator: "\n"))
            </html>

            """
    }

    func writeHTML(to path: String) throws {
        try html.write(toFile: path, atomically: true, encoding: .utf8)
    }

    private static let style = """
        :root{color-scheme:light dark;--ink:#1b1f24;--faint:#8a929c;--line:#d9dde2;--page:#fff;\
        --c0:#0a66c2;--c1:#c2500a;--c2:#1a7f4b;--c3:#8a3ab9}
        @media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--faint:#8f98a3;--line:#343a42;\
        --page:#14171b;--c0:#6cb2ff;--c1:#ff9d5c;--c2:#5fd39a;--c3:#cf9bf0}}
        body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);\
        max-width:60rem;margin:2rem auto;padding:0 1rem}
        pre{overflow-x:auto;font-size:13px}
        figure{margin:1.5rem 0}figcaption{font-weight:600}
        svg{width:100%;height:auto}svg text{fill:var(--faint);font:12px system-ui,sans-serif}
        .grid{stroke:var(--line)}.curve{fill:none;stroke-width:1.8}
        .problem{color:#c2260a;font-weight:600}
        """

    // MARK: Plots

    private func percentilePlot(of name: String, in runs: [Run]) -> String {
        let lines = runs.flatMap { run in
            run.curves.filter { $0.name == name }.map { curve in
                Plot.Line(
                    label: run.server,
                    points: curve.points.map { (Self.nines($0.percentile), $0.milliseconds) })
            }
        }
        let ticks: [(Double, String)] = [0, 50, 90, 99, 99.9, 99.99].map {
            (Self.nines($0), "\($0.formatted())%")
        }
        return Plot(
            caption: "\(name), by percentile", unit: "ms", isLogarithmic: true, xTicks: ticks,
            lines: lines
        ).figure
    }

    private func timePlot(of name: String, in runs: [Run]) -> String {
        let series = runs.flatMap { run in
            run.series.filter { $0.name == name }.map { (run.server, $0) }
        }
        let end = series.flatMap { $0.1.points.map(\.seconds) }.max() ?? 1
        let ticks = (0...4).map { end * Double($0) / 4 }.map {
            ($0, String(format: end < 2 ? "%.2f s" : "%.1f s", $0))
        }
        return Plot(
            caption: "\(name), over time", unit: series.first?.1.unit ?? "", isLogarithmic: false,
            xTicks: ticks,
            lines: series.map { server, one in
                Plot.Line(label: server, points: one.points.map { ($0.seconds, $0.value) })
            }
        ).figure
    }

    /// How far right a percentile stands: each nine as far as the one before.
    private static func nines(_ percentile: Double) -> Double {
        -log10(max(1e-5, 1 - percentile / 100))
    }
}

/// Lines over a common x axis, as SVG.
private struct Plot {
    struct Line {
        let label: String
        let points: [(x: Double, y: Double)]
    }

    let caption: String
    let unit: String
    let isLogarithmic: Bool
    let xTicks: [(at: Double, label: String)]
    let lines: [Line]

    private static let (width, height) = (860.0, 300.0)
    private static let (left, right, top, bottom) = (64.0, 30.0, 12.0, 28.0)

    var figure: String {
        let values = lines.flatMap(\.points).map(\.y)
        guard let most = values.max(), most > 0 else { return "" }
        let least = isLogarithmic ? max(values.filter { $0 > 0 }.min() ?? most, most / 1e5) : 0
        let yTicks =
            isLogarithmic ? Self.powers(least, most) : Self.steps(most)
        let (low, high) = (min(least, yTicks.first ?? least), max(most, yTicks.last ?? most))
        let xMost = max(
            lines.flatMap(\.points).map(\.x).max() ?? 1, xTicks.first.map(\.at) ?? 0, 1e-9)

        func x(_ value: Double) -> Double {
            Self.left + (Self.width - Self.left - Self.right) * min(1, value / xMost)
        }
        func y(_ value: Double) -> Double {
            let share =
                isLogarithmic
                ? log(max(value, low) / low) / max(log(high / low), 1e-9) : value / high
            return Self.height - Self.bottom - (Self.height - Self.top - Self.bottom) * share
        }
        var parts: [String] = []
        for tick in yTicks {
            let at = fixed(y(tick))
            parts.append(
                "<line class=grid x1=\(fixed(Self.left)) x2=\(fixed(Self.width - Self.right)) "
                    + "y1=\(at) y2=\(at) /><text x=\(fixed(Self.left - 6)) y=\(at) "
                    + "text-anchor=end dominant-baseline=middle>\(tick.formatted())</text>")
        }
        for tick in xTicks where tick.at <= xMost {
            parts.append(
                "<text x=\(fixed(x(tick.at))) y=\(fixed(Self.height - 8)) text-anchor=middle>"
                    + "\(escaped(tick.label))</text>")
        }
        let labels = orderedUnique(lines.map(\.label))
        for line in lines {
            let path = line.points.map { "\(fixed(x($0.x))),\(fixed(y($0.y)))" }
            parts.append(
                "<polyline class=curve stroke=\"\(color(line.label, labels))\" points=\""
                    + path.joined(separator: " ") + "\" />")
        }
        let legend = labels.map {
            "<span style=\"color:\(color($0, labels))\">■</span> \(escaped($0))"
        }
        return """
            <figure><figcaption>\(escaped(caption)), \(escaped(unit))</figcaption>
            <svg viewBox="0 0 \(fixed(Self.width)) \(fixed(Self.height))" role=img>
            \(parts.joined(separator: "\n"))</svg>
            <div>\(legend.joined(separator: " &nbsp; "))</div></figure>
            """
    }

    private func color(_ label: String, _ labels: [String]) -> String {
        "var(--c\((labels.firstIndex(of: label) ?? 0) % 4))"
    }

    /// Round numbers from 0 to above `most`, about four.
    private static func steps(_ most: Double) -> [Double] {
        let unit = pow(10, floor(log10(most / 4)))
        let step = [1.0, 2, 2.5, 5, 10].map { $0 * unit }.first { $0 * 4 >= most } ?? most
        return Array(stride(from: 0, through: most + step * 0.999, by: step))
    }

    /// 1, 2, 5, 10, … around the values.
    private static func powers(_ least: Double, _ most: Double) -> [Double] {
        var ticks: [Double] = []
        for exponent in Int(floor(log10(least)))...Int(ceil(log10(most))) {
            for digit in [1.0, 2, 5] { ticks.append(digit * pow(10, Double(exponent))) }
        }
        let first = ticks.lastIndex { $0 <= least } ?? 0
        let last = ticks.firstIndex { $0 >= most } ?? ticks.count - 1
        return Array(ticks[first...max(first, last)])
    }
}

private func orderedUnique(_ names: [String]) -> [String] {
    names.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
}

private func fixed(_ value: Double) -> String { String(format: "%.1f", value) }

private func escaped(_ text: String) -> String {
    text.replacingOccurrences(of: "&", with: "&amp;")
        .replacingOccurrences(of: "<", with: "&lt;")
        .replacingOccurrences(of: ">", with: "&gt;")
        .replacingOccurrences(of: "\"", with: "&quot;")
}

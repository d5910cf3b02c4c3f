import Foundation
import Testing

@testable import PollStream

/// What is written beside the program says what the program says.
struct DocumentTests {
    private func text(_ path: String) throws -> String {
        let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        return try String(contentsOf: repository.appending(path: path), encoding: .utf8)
    }

    /// The code in the first cell of each row.
    private func firstCells(of text: String) -> [String] {
        text.split(separator: "\n").compactMap { line in
            line.firstMatch(of: /^\| `([^`]+)`/).map { String($0.1) }
        }
    }

    @Test func `the version is that of the newest heading of the changelog`() throws {
        let heading = try text("CHANGELOG.md").firstMatch(of: /\n## ([0-9.]+)/)
        #expect(heading.map { String($0.1) } == Version.current)
    }

    @Test(arguments: ["openapi.json", "asyncapi.json"])
    func `the version is that of the API's descriptions`(file: String) throws {
        let read = try JSONSerialization.jsonObject(
            with: Data(text("Sources/Description/files/\(file)").utf8))
        let info = try #require((read as? [String: Any])?["info"] as? [String: Any])
        #expect(info["version"] as? String == Version.current)
    }

    @Test func `docs/configuration.md is what the program prints`() throws {
        #expect(
            try text("docs/configuration.md") == Reference.markdown + "\n",
            "swift run pollstream reference markdown > docs/configuration.md")
    }

    @Test func `the reference has a row for each option and each limit`() {
        let cells = firstCells(of: Reference.markdown)
        for setting in Setting.all {
            #expect(cells.contains { $0.split(separator: " ").first == "--\(setting.name)" })
            #expect(Reference.markdown.contains("`\(setting.variable)`"))
        }
        for limit in Limit.all { #expect(cells.contains(limit.name)) }
    }

    @Test func `the manual has an entry for each option and each limit`() {
        for setting in Setting.all {
            #expect(
                Reference.man.contains("\n.B \(Reference.escaped("--\(setting.name)"))"),
                "\(setting.name)")
            #expect(Reference.man.contains(setting.variable))
        }
        for limit in Limit.all {
            #expect(Reference.man.contains("\n.B \(Reference.escaped(limit.name))\n"))
        }
    }

    @Test func `no text of the manual is taken for a command`() {
        #expect(Reference.escaped("--drain") == "\\-\\-drain")
        #expect(Reference.escaped("a\\b") == "a\\eb")
        #expect(Reference.escaped(".dot") == "\\&.dot" && Reference.escaped("'q") == "\\&'q")
    }

    @Test func `the tuning guide has a row for each grant that is judged`() throws {
        let named = firstCells(of: try text("docs/tuning.md"))
        #expect(named == Grant.all.map(\.name))
    }

    @Test func `the sysctl file names what is judged, and has room for 200,000 sockets`() throws {
        var machine = Machine(
            softDescriptors: 1_048_576, hardDescriptors: 1_048_576, descriptorsPerProcess: 0,
            openFiles: .max, watches: .max, acceptQueue: 0, handshakeQueue: 0,
            tcpPages: [.max, .max, .max], memoryBytes: .max, trackedConnections: 0,
            allowsURing: true, cores: 64, pageBytes: 4_096)
        let paths: [String: WritableKeyPath<Machine, UInt64?>] = [
            "fs.nr_open": \.descriptorsPerProcess, "net.core.somaxconn": \.acceptQueue,
            "net.ipv4.tcp_max_syn_backlog": \.handshakeQueue,
            "net.netfilter.nf_conntrack_max": \.trackedConnections,
        ]
        let crowd = Crowd(sockets: 200_000, loops: 64)
        #expect(Grant.findings(on: machine, for: crowd).count(where: \.isChange) == 3)
        for line in try text("deploy/sysctl.d/pollstream.conf").matches(
            of: /(?m)^-?([a-z0-9._]+) = ([0-9]+)$/)
        {
            let path = try #require(paths[String(line.1)], "\(line.1)")
            #expect(machine[keyPath: path] == 0, "\(line.1) is set twice")
            machine[keyPath: path] = UInt64(line.2)
        }
        for finding in Grant.findings(on: machine, for: crowd) {
            #expect(finding.lines.count == 1, "\(finding.lines)")
        }
    }

    @Test func `limits take both ends of the range that is told, and nothing beyond`() throws {
        let silent = try Configuration(arguments: [:], environment: { _ in nil })
        for limit in Limit.all {
            func accepts(_ value: String) -> Bool {
                var configuration = silent
                return (try? limit.apply(&configuration, value)) != nil
            }
            let ends = limit.range.split(separator: ",")[0].split(separator: " to ")
            for (end, step) in zip(ends, [-1, 1]) {
                let digits = end.prefix(while: \.isNumber)
                let beyond = try #require(Int(digits)) + step
                #expect(accepts(String(end)), "\(limit.name)=\(end)")
                #expect(!accepts("\(beyond)\(end.dropFirst(digits.count))"), "\(limit.name)=\(end)")
            }
        }
        #expect(Value.written(bytes: 0) == "0" && Value.written(bytes: 1 << 20) == "1MiB")
        #expect(Value.written(bytes: 65_536) == "64KiB" && Value.written(bytes: 1_025) == "1025")
    }
}

import Glibc

@testable import Telemetry

/// A log whose lines can be looked at: in a file that has no name.
final class LogMemory {
    let log: Log
    private let output: LogOutput
    private let file: UnsafeMutablePointer<FILE>

    init() {
        file = tmpfile()!
        output = LogOutput(descriptor: fileno(file))
        log = Log(level: .debug, format: .text, to: output, now: { 0 })
    }

    deinit { fclose(file) }

    /// Ends the log. - Returns: the message of each line, without facts.
    func messages() -> [String] {
        output.close()
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = pread(fileno(file), &bytes, bytes.count, 0)
        let text = String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
        return text.split(separator: "\n").map { line in
            line.split(separator: " ").dropFirst(2).prefix { !$0.contains("=") }
                .joined(separator: " ")
        }
    }
}

import CLoad
import Glibc

/// One live line on standard error, at most five times a second.
final class Progress {
    private let isShown: Bool
    private var nextNanoseconds: UInt64 = 0
    private var width = 0

    /// Shown on a terminal, or where asked for.
    init(isForced: Bool) {
        isShown = isForced || isatty(STDERR_FILENO) == 1
    }

    func show(_ text: @autoclosure () -> String) {
        let now = ld_now_ns()
        guard isShown, now >= nextNanoseconds else { return }
        nextNanoseconds = now + 200_000_000
        let line = text()
        let padding = String(repeating: " ", count: max(0, width - line.count))
        width = line.count
        write("\r\(line)\(padding)")
    }

    /// Clears the line, so that what follows begins on a clean one.
    func clear() {
        guard isShown, width > 0 else { return }
        write("\r" + String(repeating: " ", count: width) + "\r")
        width = 0
        nextNanoseconds = 0
    }

    private func write(_ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
    }
}

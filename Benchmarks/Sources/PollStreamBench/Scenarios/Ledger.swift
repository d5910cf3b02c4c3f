import ArgumentParser
import Foundation
import Glibc

/// How many ballots a second go into PostgreSQL, next to a bare COPY? `ledger-bench` asks the store
/// itself, without a gateway before it, and is built with the gateway.
struct Ledger: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ballots into PostgreSQL, as a multiple of a bare binary COPY (ledger-bench).")

    @Option(help: "The ledger-bench binary (default: the repository's release build).")
    var binary: String?

    @Argument(parsing: .captureForPassthrough, help: "Arguments of ledger-bench: --pairs, --json …")
    var arguments: [String] = []

    func run() throws {
        let binary = binary ?? Repository.built("ledger-bench")
        guard access(binary, X_OK) == 0 else {
            throw Failure.server(
                "there is no \(binary); swift build -c release --product ledger-bench")
        }
        var words: [UnsafeMutablePointer<CChar>?] = ([binary] + arguments).map { strdup($0) }
        words.append(nil)
        execv(binary, &words)
        throw Failure.server("\(binary): \(String(cString: strerror(errno)))")
    }
}

import ArgumentParser
import CLoad

/// Any WebSocket server that can be made to publish, by the same client as the gateway.
struct Generic: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Fan-out of any WebSocket server: one message to all, the next when all have it.",
        discussion: """
            The server runs already: --target, --path and --publish say how to reach it. Or it is \
            described by a file that also starts it: --peer, as those in Benchmarks/peers.
            """)

    @OptionGroup var shared: SharedOptions

    @Option(parsing: .upToNextOption, help: "Subscribers; several numbers are measured in turn.")
    var subscribers = [5000]

    @Option(
        help: ArgumentHelp("What describes and starts a server, repeatable.", valueName: "file"))
    var peer: [String] = []

    @Option(help: "Where --target opens a WebSocket.")
    var path = "/"

    @Option(help: #"What each subscriber says once it is up; \r, \n and \\ are escapes."#)
    var firstMessage: String?

    @Option(help: "A command for bash that publishes each line it reads to all subscribers.")
    var publish: String?

    @Option(help: "Bytes of a frame.")
    var frameBytes = 200

    @Option(help: "Measured messages (default: enough for 500,000 deliveries, at least 50).")
    var rounds: Int?

    @Option(help: "Messages before the measured ones.")
    var warmup = 10

    @Option(help: "Quiet seconds after opening, in which subscriptions take hold.")
    var settle = 1.0

    @Option(help: "Runs of each.")
    var pairs = 1

    func validate() throws {
        guard (shared.target == nil) != peer.isEmpty else {
            throw ValidationError("give either --target or --peer")
        }
        guard shared.target == nil || publish != nil else {
            throw ValidationError(
                "--target needs --publish, a command that publishes what it reads")
        }
        guard frameBytes >= 80, warmup >= 0, settle >= 0, pairs > 0, rounds ?? 1 > 0,
            subscribers.allSatisfy({ $0 > 0 })
        else {
            throw ValidationError(
                "--frame-bytes must be at least 80, --warmup and --settle not below 0, "
                    + "everything else above 0")
        }
        for count in subscribers { try Session.checkDescriptors(for: count) }
    }

    func run() throws {
        try Session.run("generic", shared, isSharingCore: true) { session in
            let peers =
                try shared.target == nil
                ? peer.map(Peer.init)
                : [
                    Peer(
                        name: "target", path: path, firstMessage: firstMessage.map(unescaped),
                        publish: publish ?? "")
                ]
            for count in subscribers {
                for _ in 0..<pairs {
                    for peer in peers {
                        try session.measure(peer) { server in
                            try PeerLoad(
                                subscribers: count, rounds: rounds, warmup: warmup, settle: settle,
                                frameBytes: frameBytes
                            ).measure(server, peer, session)
                        }
                    }
                }
            }
        }
    }

    private func unescaped(_ text: String) -> String {
        var result = ""
        var isEscaped = false
        for character in text {
            if isEscaped {
                result.append(character == "r" ? "\r" : character == "n" ? "\n" : character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else {
                result.append(character)
            }
        }
        return result
    }
}

import ArgumentParser

/// Many vote while many watch: how long until each vote is on each screen?
struct Storm: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Votes at a rate while all watch: from each vote to each screen.")

    @OptionGroup var shared: SharedOptions

    @Option(help: "Viewers.")
    var viewers = 5000

    @Option(help: "Votes a second, on a schedule.")
    var rate = 1000

    @Option(help: "WebSockets that cast them, with up to \(StormLoad.inFlight) in flight each.")
    var connections = 64

    @Option(help: "Measured seconds.")
    var seconds = 10.0

    @Option(help: "Seconds before the measured ones.")
    var warmup = 3.0

    @Option(help: "Options of the poll.")
    var options = 4

    @Option(help: "The --tick of a gateway that is started.")
    var tick = "50ms"

    func validate() throws {
        guard viewers > 0, rate > 0, connections > 0, seconds > 0, warmup >= 0,
            (2...20).contains(options)
        else {
            throw ValidationError(
                "--warmup must not be below 0, --options 2 to 20, everything else above 0")
        }
        try Session.checkDescriptors(for: viewers + connections)
    }

    func run() throws {
        try Session.run("storm", shared, isSharingCore: false) { session in
            session.report.notes.append(StormLoad.explanation)
            let load = StormLoad(
                name: "\(viewers) viewers, \(rate) votes/s", viewers: viewers, rate: rate,
                connections: connections, seconds: seconds, warmup: warmup, options: options)
            try load.run(in: session, tick: tick)
        }
    }
}

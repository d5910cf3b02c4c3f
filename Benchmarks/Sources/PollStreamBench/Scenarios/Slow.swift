import ArgumentParser

/// What do viewers that never read cost the others?
struct Slow: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A storm without and with viewers that never read.")

    @OptionGroup var shared: SharedOptions

    @Option(help: "Viewers that read.")
    var viewers = 4750

    @Option(help: "Viewers beside them that read their snapshot and nothing more.")
    var mute = 250

    @Option(help: "Votes a second, on a schedule.")
    var rate = 1000

    @Option(help: "Measured seconds; after 50 mute viewers are closed.")
    var seconds = 10.0

    @Option(help: "Seconds before the measured ones.")
    var warmup = 3.0

    @Option(help: "Runs without and with mute viewers.")
    var pairs = 3

    @Option(help: "Options of the poll.")
    var options = 20

    @Option(help: "The --tick of a gateway that is started.")
    var tick = "50ms"

    private static let voterConnections = 32

    func validate() throws {
        guard viewers > 0, mute > 0, rate > 0, seconds > 0, warmup >= 0, pairs > 0,
            (2...20).contains(options)
        else {
            throw ValidationError(
                "--warmup must not be below 0, --options 2 to 20, everything else above 0")
        }
        try Session.checkDescriptors(for: viewers + mute + Self.voterConnections)
    }

    func run() throws {
        try Session.run("slow", shared, isSharingCore: false) { session in
            session.report.notes.append(StormLoad.explanation)
            let names = ["all read", "\(mute) more never read"]
            for pair in 0..<pairs {
                // Who begins changes, so that a drift of the machine falls on both.
                for isMute in pair % 2 == 0 ? [false, true] : [true, false] {
                    try measure(names[isMute ? 1 : 0], isMute ? mute : 0, session)
                }
            }
            session.report.addRatio(
                of: "vote to screen p99", load: names[1], to: names[0], target: "below 2")
            session.report.addRatio(
                of: "server memory, most", load: names[1], to: names[0])
        }
    }

    private func measure(_ name: String, _ mute: Int, _ session: Session) throws {
        let load = StormLoad(
            name: name, viewers: viewers, rate: rate, connections: Self.voterConnections,
            seconds: seconds, warmup: warmup, options: options, mute: mute)
        try load.run(in: session, tick: tick)
    }
}

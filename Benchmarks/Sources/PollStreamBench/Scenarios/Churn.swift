import ArgumentParser

/// What do viewers who come and go cost those who stay?
struct Churn: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A storm without and with viewers that leave and join all the time.")

    @OptionGroup var shared: SharedOptions

    @Option(help: "Viewers that stay.")
    var viewers = 4000

    @Option(help: "Viewers beside them that come and go.")
    var passers = 1000

    @Option(help: "How many of them leave, and join again, in a second.")
    var joins = 500

    @Option(help: "Votes a second, on a schedule.")
    var rate = 1000

    @Option(help: "Measured seconds.")
    var seconds = 10.0

    @Option(help: "Seconds before the measured ones.")
    var warmup = 3.0

    @Option(help: "Runs without and with.")
    var pairs = 3

    @Option(help: "The --tick of a gateway that is started.")
    var tick = "50ms"

    private static let voterConnections = 32

    func validate() throws {
        guard viewers > 0, passers > 0, joins > 0, rate > 0, seconds > 0, warmup >= 0, pairs > 0
        else {
            throw ValidationError("--warmup must not be below 0, everything else above")
        }
        try Session.checkDescriptors(for: viewers + passers + Self.voterConnections)
    }

    func run() throws {
        try Session.run("churn", shared, isSharingCore: false) { session in
            session.report.notes.append(StormLoad.explanation)
            let names = ["all stay", "\(joins)/s of \(passers) leave and join"]
            for pair in 0..<pairs {
                // Who begins changes, so that a drift of the machine falls on both.
                for isChurning in pair % 2 == 0 ? [false, true] : [true, false] {
                    try measure(names[isChurning ? 1 : 0], isChurning ? joins : 0, session)
                }
            }
            session.report.addRatio(of: "vote to screen p99", load: names[1], to: names[0])
            session.report.addRatio(of: "server memory, most", load: names[1], to: names[0])
        }
    }

    private func measure(_ name: String, _ joins: Int, _ session: Session) throws {
        var load = StormLoad(
            name: name, viewers: viewers, rate: rate, connections: Self.voterConnections,
            seconds: seconds, warmup: warmup, options: 4)
        load.passers = passers
        load.joinsPerSecond = joins
        try load.run(in: session, tick: tick)
    }
}

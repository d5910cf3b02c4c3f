import ArgumentParser

/// Many polls with few viewers each, many polls to a viewer: what does it cost to find them?
struct ManyPolls: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Votes all over many polls, each viewer watching many of them.")

    @OptionGroup var shared: SharedOptions

    @Option(help: "Polls.")
    var polls = 10_000

    @Option(help: "Viewers.")
    var viewers = 1000

    @Option(help: "Polls that each viewer watches, over one WebSocket.")
    var each = 100

    @Option(help: "Votes a second, each for the next poll.")
    var rate = 2000

    @Option(help: "Measured seconds.")
    var seconds = 15.0

    @Option(help: "Seconds before the measured ones.")
    var warmup = 3.0

    @Option(help: "Options of each poll.")
    var options = 4

    @Option(help: "The --tick of a gateway that is started.")
    var tick = "50ms"

    private static let voterConnections = 32

    func validate() throws {
        guard polls > 0, viewers > 0, (1...128).contains(each), rate > 0, seconds > 0, warmup >= 0,
            (2...20).contains(options)
        else {
            throw ValidationError(
                "--each must be 1 to 128, --options 2 to 20, --warmup not below 0, everything else above"
            )
        }
        guard polls % each == 0, viewers * each % polls == 0 else {
            throw ValidationError(
                "--each must divide --polls, and --polls must divide --viewers times --each, so that "
                    + "all have as many viewers")
        }
        try Session.checkDescriptors(for: viewers + Self.voterConnections)
    }

    func run() throws {
        try Session.run("many-polls", shared, isSharingCore: false) { session in
            session.report.notes.append(StormLoad.explanation)
            let viewersOfPoll = viewers * each / polls
            var load = StormLoad(
                name: "\(polls) polls with \(viewersOfPoll) viewers, \(each) to each viewer, "
                    + "\(rate) votes/s",
                viewers: viewers, rate: rate, connections: Self.voterConnections, seconds: seconds,
                warmup: warmup, options: options)
            load.polls = polls
            load.pollsEach = each
            try load.run(in: session, tick: tick)
        }
    }
}

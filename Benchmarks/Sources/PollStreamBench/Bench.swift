import ArgumentParser

/// A scenario is one file in Scenarios/: add it there and to this list.
@main
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pollstream-bench",
        abstract: "Loads a PollStream gateway and reports what it costs.",
        subcommands: [
            Fanout.self, Generic.self, Connect.self, Idle.self, Votes.self, Storm.self, Slow.self,
            Churn.self,
            ManyPolls.self, Cluster.self, Rolling.self, Viewers.self, Ledger.self, Start.self,
        ])
}

import Polls
import Reactor
import Telemetry

/// One run of one seed: hosts make polls in fair weather, a storm comes over everybody, and when it
/// has passed all have to agree.
struct Run {
    struct Result {
        let violations: [String]
        let story: [String]
        let counts: [String: Int]
    }

    /// After the storm: a thread that was stalled by its last moment has gone on, what waits for a
    /// limit has had it, and every viewer has heard.
    private static let calmNanoseconds: Int64 = 6_000_000_000

    static func run(
        seed: UInt64, store: Plan.Store, mutation: Mutation?, traces: Bool, log: Log,
        folder: String
    ) throws -> Result {
        let world = World(seed: seed, mutation: mutation, traces: traces)
        let plan = Plan(store: store, &world.chance)
        let site = try Site(world, plan, log: log, folder: "\(folder)/\(seed)")
        let hosts = (0..<plan.pollCount).map { Host(site, $0) }
        while hosts.contains(where: { $0.poll == nil }) {
            world.run(until: world.now + 50_000_000)
        }
        let polls = hosts.compactMap(\.poll)
        let voters = (0..<plan.voterCount).map { Voter(site, $0, polls: polls) }
        let viewers = (0..<plan.viewerCount).map {
            Viewer(site, $0, polls: polls, voters: voters)
        }
        site.beginStorm()
        world.run(until: world.now + plan.stormNanoseconds)
        site.endStorm()
        for viewer in viewers { viewer.recover() }
        let calmAt = world.now
        world.run(until: world.now + calmNanoseconds)
        for voter in voters { voter.expectFates(askedBefore: calmAt) }
        for viewer in viewers { viewer.expectConverged() }
        site.end()
        return Result(
            violations: world.violations, story: world.story, counts: world.counts)
    }
}

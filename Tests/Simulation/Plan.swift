import Gateway
import Ledger
import Reactor

/// What a run is like, from its seed: how many take part, how bad the world is, and for how long.
struct Plan {
    enum Store: String { case memory, sqlite }

    let store: Store
    let gatewayCount: Int
    let loopCount: Int
    let ledgerCount: Int
    let hasBus: Bool
    let voterCount: Int
    let viewerCount: Int
    let pollCount: Int
    /// Nanoseconds in which everything happens that is to go wrong.
    let stormNanoseconds: Int64
    /// Of the database's clock, milliseconds.
    let skew: Int64
    /// 0 to 1: how likely what may go wrong goes wrong.
    let wildness: Double
    var gateway = GatewaySettings()
    var loop = LoopSettings()
    var ledger = LedgerSettings()

    init(store: Store, _ chance: inout Chance) {
        self.store = store
        let isAlone = store == .sqlite
        gatewayCount = isAlone ? 1 : chance.pick([1, 2, 2, 3])
        loopCount = chance.pick([1, 1, 2])
        ledgerCount = isAlone ? 1 : chance.pick([1, 1, 2])
        hasBus = !isAlone && chance.happens(0.8)
        voterCount = chance.number(in: 4...24)
        viewerCount = chance.number(in: 2...8)
        pollCount = chance.number(in: 1...4)
        stormNanoseconds = chance.milliseconds(1_000...4_000)
        skew = chance.pick([0, 0, -400, 300, 7_200_000])
        wildness = chance.pick([0, 0.3, 0.6, 1])
        gateway.sharesStore = !isAlone
        gateway.idleBoardCount = chance.pick([1, 4_096])
        gateway.unknownPollMilliseconds = 500
        gateway.knownBallotCount = chance.pick([2, 65_536])
        gateway.feed = .off
        // The machine's time, of which a run must know nothing.
        gateway.wakeNanoseconds = .max / 2
        loop.tickNanoseconds = chance.pick([5_000_000, 50_000_000])
        loop.sweepSliceCount = chance.pick([1, 256])
        loop.compressAboveBytes = nil
        ledger.waitingBallots = chance.happens(0.2) ? 3 : 1_000
        ledger.batchLimit = chance.pick([1, 3, 1_000])
        ledger.commitLimit = .milliseconds(chance.pick([300, 2_000]))
    }
}

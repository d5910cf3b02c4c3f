import Polls
import Store
import Telemetry
import Threads

/// Opens and closes polls when they are due. Used by the catalogue's thread only.
final class Timetable {
    private let store: any CatalogueStore
    private let health: Health
    private let checkNanoseconds: Int64
    private let random: @Sendable () -> Double
    private let happened: @Sendable (PollEvent) -> Void
    private var backoff = Backoff(base: .milliseconds(50), limit: .seconds(1))

    /// So many are opened or closed before waiting requests have their turn.
    private static let transitionsPerTurn = 64

    init(
        store: any CatalogueStore, health: Health, check: Duration,
        random: @escaping @Sendable () -> Double, happened: @escaping @Sendable (PollEvent) -> Void
    ) {
        self.store = store
        self.health = health
        checkNanoseconds = check.nanoseconds
        self.random = random
        self.happened = happened
    }

    /// Makes what is due, and announces it.
    /// - Returns: nanoseconds until it wants to be called again; sooner where polls are changed.
    func makeTransitions() -> Int64 {
        do throws(StoreError) {
            var milliseconds = try store.millisecondsUntilNextTransition()
            if milliseconds == 0 {
                for (record, transition) in try store.makeDueTransitions(
                    limit: Self.transitionsPerTurn)
                {
                    happened(.changed(record, transition))
                }
                milliseconds = try store.millisecondsUntilNextTransition()
            }
            health.recover()
            backoff.reset()
            guard let milliseconds, milliseconds < checkNanoseconds / 1_000_000 else {
                return checkNanoseconds
            }
            // At least 1 ms: more than one turn takes, and requests come in between.
            return max(milliseconds, 1) * 1_000_000
        } catch {
            health.note(error)
            return backoff.next(random: random())
        }
    }
}

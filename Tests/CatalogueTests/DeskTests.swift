import Polls
import Store
import Telemetry
import Testing

@testable import Catalogue

@Suite struct DeskTests {
    static let refusals: [(StoreError, change: CatalogueRefusal, read: CatalogueRefusal)] = [
        (.unavailable(reason: ""), .storageUnavailable, .storageUnavailable),
        (.commitUnknown(reason: ""), .commitUnknown, .storageUnavailable),
        (.unusable(reason: ""), .commitUnknown, .storageUnavailable),
        (.pollNotFound, .pollNotFound, .pollNotFound),
        (.pollClosed, .pollClosed, .pollClosed),
        (.hasBallots, .hasBallots, .hasBallots),
        (.joinCodeTaken, .overloaded, .overloaded),
    ]

    @Test(arguments: refusals)
    func `each error of the store is refused in its own way`(
        error: StoreError, change: CatalogueRefusal, read: CatalogueRefusal
    ) {
        #expect(error.refusal(ofChange: true) == change)
        #expect(error.refusal(ofChange: false) == read)
    }

    @Test func `an end before the start names its field`() {
        guard case .invalid(let invalid) = StoreError.endBeforeStart.refusal(ofChange: true) else {
            Issue.record("another refusal")
            return
        }
        #expect(invalid.field == "end_time")
    }

    @Test func `a change whose commit is unknown announces nothing`() throws {
        let store = MemoryStore()
        let heard = Heard()
        let health = Health(of: "storage", log: quiet, now: { 1 })
        let desk = Desk(
            store: store, health: health, log: quiet, makeHostKey: { ("psh_key", []) },
            makeJoinCode: { "CODE" }, happened: { heard.hear($0) })
        let id = try #require(desk.answer(.create(try draft())).record?.poll.id)
        let changes: [CatalogueRequest] = [
            .create(try draft()), .open(id), .close(id), .delete(id),
        ]
        for change in changes {
            store.fail([.commitUnknown(reason: "told to")])
            #expect(desk.answer(change).refusal == .commitUnknown)
            #expect(!health.isHealthy)
        }
        #expect(heard.story == ["created"])
        #expect(desk.answer(.close(PollID(99)!)).refusal == .pollNotFound)
        #expect(health.isHealthy)
    }
}

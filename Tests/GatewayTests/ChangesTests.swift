import Polls
import Reactor
import Testing

@testable import Gateway

struct ChangesTests {
    private final class Underway {
        private var changes = ChangesUnderWay()

        func begin(_ poll: Int64?, from address: UInt64) -> Bool {
            changes.begin(poll.flatMap { PollID($0) }, client(address))
        }

        func end(_ poll: Int64?, from address: UInt64) {
            changes.end(poll.flatMap { PollID($0) }, client(address))
        }

        private func client(_ number: UInt64) -> ClientAddress {
            ClientAddress(PeerAddress(high: number, low: 0))
        }
    }

    @Test func `one poll has no more than its share of what waits`() {
        let changes = Underway()
        for number in 0..<ChangesUnderWay.limitPerPoll {
            #expect(changes.begin(7, from: UInt64(number)))
        }
        #expect(!changes.begin(7, from: 100))
        #expect(changes.begin(8, from: 100))
        changes.end(7, from: 0)
        #expect(changes.begin(7, from: 100))
        #expect(!changes.begin(7, from: 101))
    }

    @Test func `one address has no more than its share, whatever polls it asks for`() {
        let changes = Underway()
        for number in 0..<ChangesUnderWay.limitPerAddress {
            #expect(changes.begin(number.isMultiple(of: 2) ? nil : Int64(number), from: 1))
        }
        #expect(!changes.begin(nil, from: 1))
        #expect(!changes.begin(1_000, from: 1))
        #expect(changes.begin(nil, from: 2))
        changes.end(nil, from: 1)
        #expect(changes.begin(nil, from: 1))
        #expect(!changes.begin(nil, from: 1))
    }
}

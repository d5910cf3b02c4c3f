import Polls
import Testing

@testable import Gateway
@testable import Reactor

@Suite struct AwaitingBallotTests {
    private let limit = AwaitingBallot.questionLimit

    private func voter(_ number: Int) -> VoterKey { VoterKey(high: 0, low: UInt64(number)) }

    private func connection(_ number: Int) -> ConnectionID {
        ConnectionID(UInt64(number))
    }

    /// As many as come.
    private func takeQuestions(_ table: inout AwaitingBallot) -> [VoterKey] {
        var voters: [VoterKey] = []
        while let voter = table.takeQuestion() { voters.append(voter) }
        return voters
    }

    /// With `count` voters of one connection each; all have been asked for, the first first.
    private func makeAsked(_ count: Int) -> AwaitingBallot {
        var table = AwaitingBallot()
        for number in 0..<count {
            table.insert(connection(number), voter(number))
            for asked in takeQuestions(&table) { table.settle(asked, exists: false) }
        }
        return table
    }

    @Test func `few questions are under way at once, and each answer brings the next`() {
        var table = AwaitingBallot()
        for number in 0..<100 { table.insert(connection(number), voter(number)) }
        var waiting = takeQuestions(&table)
        #expect(waiting.count == limit)
        var seen = Set(waiting)
        while let answered = waiting.popLast() {
            table.settle(answered, exists: false)
            let more = takeQuestions(&table)
            #expect(more.count == (seen.count < 100 ? 1 : 0))
            seen.formUnion(more)
            waiting += more
        }
        #expect(seen.count == 100)
    }

    @Test func `what was refused is asked for again, later, and nothing else is meanwhile`() {
        var table = AwaitingBallot()
        for number in 0..<100 { table.insert(connection(number), voter(number)) }
        let refused = takeQuestions(&table)
        for voter in refused { table.settle(voter, exists: nil) }
        #expect(takeQuestions(&table).isEmpty)
        table.forgiveRefusals()
        #expect(Set(takeQuestions(&table)) == Set(refused))
    }

    @Test func `who was asked for the longest ago is asked for again first`() {
        var table = makeAsked(40)
        var order: [VoterKey] = []
        for _ in 0..<8 {
            #expect(table.askAgain(limit: 10) == 10)
            let voters = takeQuestions(&table)
            #expect(voters.count == 10)
            for voter in voters.reversed() { table.settle(voter, exists: false) }
            order += voters.reversed()
        }
        #expect(order == (0..<80).map { voter($0 % 40) })
        #expect(table.askAgain() == 40)
        #expect(table.askAgain() == 0)
    }

    @Test func `a voter that comes again is asked for again, and stands there once`() {
        var table = makeAsked(1)
        for number in 0..<1_000 {
            table.insert(connection(number % 3), voter(0))
            for asked in takeQuestions(&table) {
                table.settle(asked, exists: number % 2 == 0 ? nil : false)
            }
            table.forgiveRefusals()
        }
        #expect(table.count <= 3)
        #expect(table.remove(voter(0)).count == 3)
        #expect(takeQuestions(&table).isEmpty)
        #expect(table.askAgain() == 0)
        #expect(table.count == 0)
    }

    @Test func `who has left is forgotten, whatever list it stands in`() {
        var table = makeAsked(10)
        table.askAgain(limit: 5)
        for number in 10..<20 { table.insert(connection(number), voter(number)) }
        let refused = table.takeQuestion()
        table.settle(refused!, exists: nil)
        table.sweep { $0 == self.connection(3) }
        #expect(table.count == 1)
        table.forgiveRefusals()
        table.askAgain()
        #expect(takeQuestions(&table) == [voter(3)])
    }

    @Test func `an answer for somebody who has left, or whose ballot is known, changes nothing`() {
        var table = AwaitingBallot()
        table.insert(connection(1), voter(1))
        #expect(table.takeQuestion() == voter(1))
        #expect(table.remove(voter(1)) == [connection(1)])
        table.settle(voter(1), exists: false)
        table.settle(voter(1), exists: nil)
        table.forgiveRefusals()
        table.askAgain()
        #expect(table.takeQuestion() == nil && table.count == 0)
    }
}

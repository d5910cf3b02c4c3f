import Polls
import Testing

struct BallotBoxTests {
    @Test func `marks become bits in the order of positions, however they are sent`() {
        let box = BallotBox(Samples.poll(kind: .multiple, maxChoices: 3))
        #expect(box.admit(optionIDs: [33, 31]) == .success(Choices(mask: 0b101)))
    }

    @Test func `a ballot needs one option, and at most as many as the poll takes`() {
        let single = BallotBox(Samples.poll())
        #expect(single.admit(optionIDs: [31]) == .success(Choices(mask: 1)))
        #expect(field(single.admit(optionIDs: [])) == "option_ids")
        #expect(field(single.admit(optionIDs: [31, 32])) == "option_ids")
        let two = BallotBox(Samples.poll(kind: .multiple, maxChoices: 2))
        #expect(two.admit(optionIDs: [31, 32]) == .success(Choices(mask: 0b11)))
        #expect(field(two.admit(optionIDs: [31, 32, 33])) == "option_ids")
        #expect(field(two.admit(optionIDs: [31, 31])) == "option_ids")
    }

    @Test func `an option of another poll is not found`() {
        let box = BallotBox(Samples.poll())
        for stranger: Int64 in [0, -1, 30, 34, .max, .min] {
            #expect(box.admit(optionIDs: [stranger]) == .failure(.optionNotFound))
        }
    }

    @Test func `a poll takes ballots only while it is open`() {
        var poll = Samples.poll()
        poll.isOpened = false
        #expect(BallotBox(poll).admit(optionIDs: [31]) == .failure(.pollNotOpen))
        poll.isOpened = true
        poll.closedAt = 5
        #expect(BallotBox(poll).admit(optionIDs: [31]) == .failure(.pollClosed))
        poll.isOpened = false
        #expect(BallotBox(poll).admit(optionIDs: [31]) == .failure(.pollClosed))
    }

    @Test(arguments: [1, 2, 20, 63])
    func `every set of options is told apart by its mask`(optionCount: Int) {
        var poll = Samples.poll(kind: .multiple, maxChoices: optionCount)
        poll.options = (0..<optionCount).map { PollOption(id: Int64(100 + $0), text: "\($0)") }
        let box = BallotBox(poll)
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let chosen = poll.options.map(\.id).filter { _ in Bool.random(using: &generator) }
            if chosen.isEmpty { continue }
            guard case .success(let choices) = box.admit(optionIDs: chosen.shuffled()) else {
                Issue.record("refused \(chosen)")
                continue
            }
            let marked = poll.options.indices.filter(choices.contains)
            #expect(marked.map { poll.options[$0].id } == chosen)
            #expect(choices.count == chosen.count)
        }
    }

    private func field(_ result: Result<Choices, Rejection>) -> String? {
        guard case .failure(.invalid(let field, _)) = result else { return nil }
        return field
    }
}

enum Samples {
    /// Open, with the options 31, 32 and 33.
    static func poll(kind: PollKind = .single, maxChoices: Int = 1) -> Poll {
        let id = PollID(7)!
        return Poll(
            id: id, title: "Tea or coffee?", description: "", creatorName: "",
            options: [
                PollOption(id: 31, text: "Tea"), PollOption(id: 32, text: "Coffee"),
                PollOption(id: 33, text: "Water"),
            ],
            kind: kind, maxChoices: maxChoices, results: .live, allowsChange: false, createdAt: 1,
            startsAt: nil, endTime: nil, closedAt: nil, joinCode: "ABC234", edition: 1,
            isOpened: true, shownRevision: 1,
            tally: Tally(pollID: id, revision: 1, ballots: 0, counts: [0, 0, 0], at: 1))
    }
}

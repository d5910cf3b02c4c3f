import Polls
import Testing

struct PollDraftTests {
    private let now: Int64 = 1_000

    private func fields(_ change: (inout PollDraft.Fields) -> Void = { _ in }) -> PollDraft.Fields {
        var fields = PollDraft.Fields()
        fields.title = "Tea or coffee?"
        fields.options = ["Tea", "Coffee"]
        change(&fields)
        return fields
    }

    private func refusedField(_ change: (inout PollDraft.Fields) -> Void) -> String? {
        do {
            _ = try PollDraft(fields(change), now: now)
            return nil
        } catch {
            return error.field
        }
    }

    @Test func `what a request leaves out has its default`() throws {
        let draft = try PollDraft(fields(), now: now)
        #expect(draft.kind == .single)
        #expect(draft.maxChoices == 1)
        #expect(draft.results == .live)
        #expect(!draft.allowsChange)
        #expect(draft.description == "" && draft.creatorName == "")
        #expect(draft.startsAt == nil && draft.endTime == nil)
        let multiple = try PollDraft(fields { $0.kind = .multiple }, now: now)
        #expect(multiple.maxChoices == 2)
    }

    @Test func `texts are trimmed before they are measured`() throws {
        let draft = try PollDraft(
            fields {
                $0.title = " \t" + String(repeating: "é", count: 200) + "\u{3000}"
                $0.options = [" Tea ", "Coffee\n"]
            }, now: now)
        #expect(draft.title.count == 200)
        #expect(draft.options == ["Tea", "Coffee"])
    }

    @Test func `each bound is taken, and one past it is refused by name`() {
        let long = { (count: Int) in String(repeating: "x", count: count) }
        let options = { (count: Int) in (0..<count).map { "option \($0)" } }
        #expect(refusedField { $0.title = long(200) } == nil)
        #expect(refusedField { $0.title = long(201) } == "title")
        #expect(refusedField { $0.title = nil } == "title")
        #expect(refusedField { $0.title = "   " } == "title")
        #expect(refusedField { $0.description = long(2000) } == nil)
        #expect(refusedField { $0.description = long(2001) } == "description")
        #expect(refusedField { $0.creatorName = long(100) } == nil)
        #expect(refusedField { $0.creatorName = long(101) } == "creator_name")
        #expect(refusedField { $0.options = nil } == "options")
        #expect(refusedField { $0.options = options(1) } == "options")
        #expect(refusedField { $0.options = options(2) } == nil)
        #expect(refusedField { $0.options = options(20) } == nil)
        #expect(refusedField { $0.options = options(21) } == "options")
        #expect(refusedField { $0.options = ["a", long(255)] } == nil)
        #expect(refusedField { $0.options = ["a", long(256)] } == "options")
        #expect(refusedField { $0.options = ["a", "  "] } == "options")
        #expect(refusedField { $0.options = ["a", " a "] } == "options")
        // Equal to a reader, different to a database: both stay.
        #expect(refusedField { $0.options = ["\u{e9}", "e\u{301}"] } == nil)
    }

    @Test func `the number of choices fits the kind and the options`() {
        #expect(refusedField { $0.maxChoices = 1 } == nil)
        #expect(refusedField { $0.maxChoices = 2 } == "max_choices")
        for (wanted, field) in [
            (Int64(0), "max_choices"), (1, nil), (2, nil), (3, "max_choices"),
            (-1, "max_choices"), (.max, "max_choices"), (.min, "max_choices"),
        ] {
            #expect(
                refusedField {
                    $0.kind = .multiple
                    $0.maxChoices = wanted
                } == field)
        }
    }

    @Test func `an end lies in the future and after the start`() {
        #expect(refusedField { $0.endTime = 1_001 } == nil)
        #expect(refusedField { $0.endTime = 1_000 } == "end_time")
        #expect(
            refusedField {
                $0.startsAt = 2_000
                $0.endTime = 2_000
            } == "end_time")
        #expect(
            refusedField {
                $0.startsAt = 2_000
                $0.endTime = 2_001
            } == nil)
        #expect(refusedField { $0.startsAt = 1 } == nil)
    }

    @Test func `a change is held to the same rules`() throws {
        func refused(
            title: String? = nil, endTime: Int64?? = nil, options: [String]? = nil
        ) -> String? {
            do {
                _ = try PollChange(
                    title: title, description: nil, results: nil, endTime: endTime,
                    options: options, now: now)
                return nil
            } catch {
                return error.field
            }
        }
        #expect(refused() == nil)
        #expect(refused(title: "") == "title")
        #expect(refused(endTime: .some(nil)) == nil)
        #expect(refused(endTime: 999) == "end_time")
        #expect(refused(options: ["a"]) == "options")
        let change = try PollChange(
            title: " New ", description: nil, results: .afterClose, endTime: nil, options: nil,
            now: now)
        #expect(change.title == "New")
        #expect(change.results == .afterClose)
    }
}

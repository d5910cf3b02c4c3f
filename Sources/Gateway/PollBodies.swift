import JSON
import Polls

/// What hosts send about polls.
extension PollDraft {
    /// - Parameter now: Unix milliseconds.
    init(_ root: JSONValue, now: Int64) throws {
        var fields = Fields()
        fields.title = try root["title"].ifPresent?.string
        fields.description = try root["description"].ifPresent?.string
        fields.creatorName = try root["creator_name"].ifPresent?.string
        fields.options = try root["options"].ifPresent.map(optionTexts)
        fields.kind = try root["kind"].ifPresent?.word("kind", "Give single or multiple.")
        fields.maxChoices = try root["max_choices"].ifPresent?.int64
        fields.results = try root["results"].ifPresent.map(visibility)
        fields.allowsChange = try root["change_vote"].ifPresent?.bool
        fields.asksName = try root["ask_name"].ifPresent?.bool
        fields.startsAt = try root["starts_at"].ifPresent?.time("starts_at")
        fields.endTime = try root["end_time"].ifPresent?.time("end_time")
        try self.init(fields, now: now)
    }
}

extension PollChange {
    /// A member that is missing changes nothing; `end_time` null takes the end away.
    /// - Parameter now: Unix milliseconds.
    init(_ root: JSONValue, now: Int64) throws {
        let end = root["end_time"]
        let endTime: Int64?? =
            switch end.kind {
            case .missing: .none
            case .null: .some(nil)
            default: .some(try end.time("end_time"))
            }
        try self.init(
            title: try root["title"].ifPresent?.string,
            description: try root["description"].ifPresent?.string,
            results: try root["results"].ifPresent.map(visibility), endTime: endTime,
            options: try root["options"].ifPresent.map(optionTexts),
            asksName: try root["ask_name"].ifPresent?.bool, now: now)
    }
}

/// Each option is its text, or an object that holds it.
private func optionTexts(_ options: JSONValue) throws -> [String] {
    var texts: [String] = []
    for option in try options.elements {
        guard let text = try? (option.kind == .object ? option["text"] : option).string else {
            throw APIError.invalid(field: "options", message: "Give every option as a text.")
        }
        texts.append(text)
    }
    return texts
}

private func visibility(_ value: JSONValue) throws -> ResultsVisibility {
    try value.word("results", "Give live, after_vote or after_close.")
}

/// A poll as a host asks for it, checked: whatever has this type may be stored.
package struct PollDraft: Sendable, Equatable {
    package private(set) var title: String
    package private(set) var description: String
    package private(set) var creatorName: String
    package private(set) var options: [String]
    package private(set) var kind: PollKind
    package private(set) var maxChoices: Int
    package private(set) var results: ResultsVisibility
    package private(set) var allowsChange: Bool
    package private(set) var asksName = false
    package private(set) var startsAt: Int64?
    package private(set) var endTime: Int64?

    /// What a request brings; nil where it is silent.
    package struct Fields: Sendable {
        package var title: String?
        package var description: String?
        package var creatorName: String?
        package var options: [String]?
        package var kind: PollKind?
        package var maxChoices: Int64?
        package var results: ResultsVisibility?
        package var allowsChange: Bool?
        package var asksName: Bool?
        package var startsAt: Int64?
        package var endTime: Int64?

        package init() {}
    }

    /// Checks what a host sent.
    /// - Parameters:
    ///   - fields: as they came; nil where one was left out.
    ///   - now: Unix milliseconds.
    /// - Throws: the first field that is wrong, and what to give instead.
    package init(_ fields: Fields, now: Int64) throws(InvalidPoll) {
        title = try Self.title(fields.title)
        description = try Self.description(fields.description ?? "")
        creatorName = try Self.text(fields.creatorName ?? "", upTo: 100, field: "creator_name")
        options = try Self.options(fields.options)
        kind = fields.kind ?? .single
        results = fields.results ?? .live
        allowsChange = fields.allowsChange ?? false
        asksName = fields.asksName ?? false
        startsAt = fields.startsAt
        endTime = fields.endTime
        switch (kind, fields.maxChoices) {
        case (.single, nil), (.single, 1):
            maxChoices = 1
        case (.single, _):
            throw InvalidPoll("max_choices", "A poll of kind single has one choice.")
        case (.multiple, let wanted):
            maxChoices = wanted.map { Int(clamping: $0) } ?? options.count
            guard (1...options.count).contains(maxChoices) else {
                throw InvalidPoll(
                    "max_choices", "Give a number from 1 to the number of options.")
            }
        }
        if let endTime {
            guard endTime > now else {
                throw InvalidPoll("end_time", "Give a time in the future.")
            }
            guard endTime > startsAt ?? endTime - 1 else {
                throw InvalidPoll("end_time", "Give a time after starts_at.")
            }
        }
    }

    /// A poll as the original platform took it, with texts that its own rules have passed: any number
    /// of options up to ``Choices/optionLimit``, equal ones too, and an end that may have passed.
    package init(
        original title: String, description: String, creatorName: String, options: [String],
        endTime: Int64
    ) {
        precondition(options.count <= Choices.optionLimit, "more options than a ballot can mark")
        self.title = title
        self.description = description
        self.creatorName = creatorName
        self.options = options
        self.endTime = endTime
        (kind, maxChoices, results, allowsChange) = (.single, 1, .live, false)
    }

    /// 2 to 20, trimmed, distinct.
    static func options(_ options: [String]?) throws(InvalidPoll) -> [String] {
        guard let options else { throw InvalidPoll("options", "Give 2 to 20 options.") }
        guard (2...20).contains(options.count) else {
            throw InvalidPoll("options", "Give 2 to 20 options.")
        }
        var trimmed: [String] = []
        for option in options {
            let text = try text(option, upTo: 255, field: "options")
            if text.isEmpty { throw InvalidPoll("options", "Give every option a text.") }
            // Compared scalar by scalar, as the database will.
            if trimmed.contains(where: { $0.unicodeScalars.elementsEqual(text.unicodeScalars) }) {
                throw InvalidPoll("options", "Give every option a text of its own.")
            }
            trimmed.append(text)
        }
        return trimmed
    }

    static func title(_ title: String?) throws(InvalidPoll) -> String {
        let text = try text(title ?? "", upTo: 200, field: "title")
        if text.isEmpty { throw InvalidPoll("title", "Give the poll a title.") }
        return text
    }

    static func description(_ description: String) throws(InvalidPoll) -> String {
        try text(description, upTo: 2000, field: "description")
    }

    /// Trimmed, and at most `limit` Unicode scalars.
    private static func text(_ text: String, upTo limit: Int, field: String) throws(InvalidPoll)
        -> String
    {
        let trimmed = text.trimmed()
        guard trimmed.unicodeScalars.count <= limit else {
            throw InvalidPoll(field, "Use at most \(limit) characters.")
        }
        return trimmed
    }
}

/// What a host changes of a poll; nil leaves a thing as it is.
package struct PollChange: Sendable, Equatable {
    package var title: String?
    package var description: String?
    package var results: ResultsVisibility?
    package var asksName: Bool?
    /// `.some(nil)` takes the end away.
    package var endTime: Int64??
    /// Only before the first ballot.
    package var options: [String]?

    /// Checks what a request brings; `now` is in Unix milliseconds.
    /// - Throws: the first field that is wrong, and what to give instead.
    package init(
        title: String?, description: String?, results: ResultsVisibility?, endTime: Int64??,
        options: [String]?, asksName: Bool? = nil, now: Int64
    ) throws(InvalidPoll) {
        if let title { self.title = try PollDraft.title(title) }
        if let description { self.description = try PollDraft.description(description) }
        self.results = results
        self.asksName = asksName
        if let options { self.options = try PollDraft.options(options) }
        if case .some(.some(let time)) = endTime, time <= now {
            throw InvalidPoll("end_time", "Give a time in the future.")
        }
        self.endTime = endTime
    }
}

/// Well-formed but wrong: which member, and what to do.
package struct InvalidPoll: Error, Sendable, Equatable {
    package let field: String
    package let message: String

    package init(_ field: String, _ message: String) {
        self.field = field
        self.message = message
    }
}

extension String {
    /// Without white space (Unicode White_Space) at both ends.
    package func trimmed() -> String {
        var scalars = Substring(self).unicodeScalars
        while let first = scalars.first, first.properties.isWhitespace { scalars.removeFirst() }
        while let last = scalars.last, last.properties.isWhitespace { scalars.removeLast() }
        return String(scalars)
    }
}

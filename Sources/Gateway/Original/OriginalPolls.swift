import Identity
import JSON
import Polls
import Reactor

/// Polls as the original platform's frontend asks for them: lists, details, new ones.
extension Gateway {
    func listOriginalPolls(_ request: borrowing Request, _ exchange: Exchange) {
        let query = Query(request.query)
        let page: ListPage
        let voter: VoterIdentity?
        do {
            page = try ListPage(original: query)
            voter = try originalVoter(of: request, query)
        } catch {
            return exchange.send(original: error)
        }
        let links = OriginalLinks(
            base: baseURL(for: request) + "/api/polls/get-list/", query: query)
        askForPage(page, of: .open) { [unowned self] answer in
            switch answer {
            case .page(let found) where page.isPastEnd(of: found.count):
                exchange.send(original: OriginalFailure.invalidPage)
            case .page(let found):
                choices(of: voter, in: found.polls) { choices in
                    exchange.send(Answer(found, choices, page, links))
                }
            case .refused(let refusal): exchange.send(original: OriginalFailure.of(refusal))
            default: preconditionFailure("the catalogue answered another question")
            }
        }
    }

    func readOriginalPoll(_ request: borrowing Request, _ exchange: Exchange, _ id: PollID) {
        let voter: VoterIdentity?
        do {
            voter = try originalVoter(of: request, Query(request.query))
        } catch {
            return exchange.send(original: error)
        }
        withBoard(id) { [unowned self] lookup in
            switch lookup {
            case .board(let board):
                let poll = board.poll
                choices(of: voter, in: [poll]) { exchange.send(Answer(original: poll, $0[0])) }
            case .notFound: exchange.send(original: OriginalFailure.pollNotFound)
            case .refused(let refusal): exchange.send(original: OriginalFailure.of(refusal))
            }
        }
    }

    func createOriginalPoll(_ request: borrowing Request, _ exchange: Exchange) {
        let draft: PollDraft
        do {
            try expectAdmin(request)
            draft = try withOriginalJSON(of: request) {
                (root) throws(OriginalErrors) in try PollDraft(original: root)
            }
            try takePoll(of: request)
        } catch {
            return exchange.send(original: error)
        }
        askForChange(.create(draft), of: nil, by: client(of: request)) { answer in
            switch answer {
            case .created(let record, _): exchange.send(Answer(createdOriginal: record.poll))
            case .refused(let refusal): exchange.send(original: OriginalFailure.of(refusal))
            default: preconditionFailure("the catalogue answered another question")
            }
        }
    }

    /// Who asks what they voted: by `full_name`, as they vote by `voter_name`.
    private func originalVoter(
        of request: borrowing Request, _ query: Query
    ) throws -> VoterIdentity? {
        let name = try query.value("full_name").map {
            String(decoding: $0, as: UTF8.self).trimmed()
        }
        return try originalVoter(of: request, named: name.flatMap { $0.isEmpty ? nil : $0 })
    }

    /// What a voter has chosen in each of these polls. Where that cannot be told, nothing is.
    ///
    /// Anybody can ask for any name: while counts are hidden it is told that it has voted and no more, or
    /// whoever knows all names could add them up.
    private func choices(
        of voter: VoterIdentity?, in polls: [Poll], then: @escaping ([Choices?]) -> Void
    ) {
        let none = [Choices?](repeating: nil, count: polls.count)
        guard let voter, !polls.isEmpty else { return then(none) }
        ask(.choices(polls.map { ballotKey(voter, $0.id) })) { answer in
            guard case .choices(let choices) = answer else { return then(none) }
            guard case .name = voter else { return then(choices) }
            then(
                zip(polls, choices).map { poll, choices in
                    poll.showsCountsToEverybody ? choices : choices.map { _ in Choices(mask: 0) }
                })
        }
    }
}

extension Gateway {
    /// Reads a JSON body of the original API. The value is good until `body` returns.
    func withOriginalJSON<Value>(
        of request: borrowing Request, _ body: (JSONValue) throws(OriginalErrors) -> Value
    ) throws -> Value {
        guard (try? request.bodyType()) == .json else {
            throw OriginalFailure.unsupportedMediaType
        }
        let root: JSONValue
        do {
            root = try document.parse(request.body)
        } catch {
            throw OriginalFailure.malformedJSON
        }
        return try body(root)
    }
}

extension PollDraft {
    fileprivate init(original root: JSONValue) throws(OriginalErrors) {
        var fields = try OriginalFields(root)
        let title = fields.text("title", upTo: 50)
        let description = fields.text("description", upTo: 500, or: "")
        let creatorName = fields.text("creator_name", upTo: 100)
        let endTime = fields.time("end_time")
        let options = fields.list("options", upTo: Choices.optionLimit) {
            (element) throws(OriginalErrors) in
            var option = try OriginalFields(element)
            let text = option.text("text", upTo: 255)
            try option.check()
            return text
        }
        try fields.check()
        self.init(
            original: title, description: description, creatorName: creatorName, options: options,
            endTime: endTime)
    }
}

extension Answer {
    fileprivate init(
        _ found: PollPage, _ choices: [Choices?], _ page: ListPage, _ links: OriginalLinks
    ) {
        self.init(page, of: found.count, link: links.link) { json in
            for (poll, choices) in zip(found.polls, choices) {
                json.beginObject()
                json.member("id", poll.id.rawValue)
                json.member("title", poll.title)
                json.member("created_at", originalTime: poll.createdAt)
                json.member("creator_name", poll.creatorName)
                json.member("end_time", originalTime: poll.endTime)
                json.writeOriginalOptions(of: poll, choices)
                json.member("has_voted", choices != nil)
                json.endObject()
            }
        }
    }

    fileprivate init(original poll: Poll, _ choices: Choices?) {
        var json = JSONWriter()
        json.beginObject()
        json.writeOriginalMembers(of: poll, choices)
        json.member("has_voted", choices != nil)
        let voted = poll.options.indices.first { choices?.contains($0) ?? false }
        json.member("voted_option_id", voted.map { poll.options[$0].id })
        json.endObject()
        self.init(json: json)
    }

    fileprivate init(createdOriginal poll: Poll) {
        var json = JSONWriter()
        json.beginObject()
        json.writeOriginalMembers(of: poll, nil)
        json.endObject()
        self.init(status: 201, json: json)
    }
}

extension JSONWriter {
    fileprivate mutating func writeOriginalMembers(of poll: Poll, _ choices: Choices?) {
        member("id", poll.id.rawValue)
        member("title", poll.title)
        member("description", poll.description)
        member("creator_name", poll.creatorName)
        member("end_time", originalTime: poll.endTime)
        writeOriginalOptions(of: poll, choices)
    }

    /// - Parameter choices: of who asks.
    fileprivate mutating func writeOriginalOptions(of poll: Poll, _ choices: Choices?) {
        name("options")
        beginArray()
        for (position, option) in poll.options.enumerated() {
            beginObject()
            member("id", option.id)
            member("text", option.text)
            member("vote_count", poll.showsCountsToEverybody ? poll.tally.counts[position] : nil)
            member("voted", choices?.contains(position) ?? false)
            endObject()
        }
        endArray()
    }
}

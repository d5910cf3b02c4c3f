import Identity
import JSON
import Polls
import Reactor

/// A ballot as it stands in the body of `POST /votes/`, before anybody knows whose it is.
struct VoteBody: Equatable {
    private(set) var pollID: PollID
    private(set) var optionIDs: [Int64]
    /// The name that the voter gave.
    private(set) var voter: String?

    /// 1 to 200 characters.
    static func isName(_ text: String) -> Bool { (1...200).contains(text.unicodeScalars.count) }

    init(_ root: JSONValue) throws {
        let poll = try root["poll_id"].int64
        var optionIDs: [Int64] = []
        switch (root["option_id"].ifPresent, root["option_ids"].ifPresent) {
        case (let option?, nil):
            optionIDs = [try option.int64]
        case (nil, let options?):
            for option in try options.elements { optionIDs.append(try option.int64) }
        case (nil, nil):
            throw APIError.invalid(field: "option_id", message: "Give option_id or option_ids.")
        case (.some, .some):
            throw APIError.invalid(
                field: "option_ids", message: "Give either option_id or option_ids.")
        }
        let voter = try root["voter"].ifPresent?.string
        try self.init(poll: poll, optionIDs: optionIDs, voter: voter)
    }

    /// The same as a form; several options are `option_ids` repeated.
    init(form: Query) throws(APIError) {
        let polls = try form.values("poll_id")
        let one = try form.values("option_id")
        let several = try form.values("option_ids")
        guard one.isEmpty || several.isEmpty else {
            throw .invalid(field: "option_ids", message: "Give either option_id or option_ids.")
        }
        let poll = try VoteBody.integers(polls, field: "poll_id", limit: 1)[0]
        let optionIDs =
            several.isEmpty
            ? try VoteBody.integers(one, field: "option_id", limit: 1)
            : try VoteBody.integers(several, field: "option_ids", limit: Choices.optionLimit)
        let voter: String? =
            if let bytes = try form.value("voter") { try VoteBody.text(bytes) } else { nil }
        try self.init(poll: poll, optionIDs: optionIDs, voter: voter)
    }

    private init(poll: Int64, optionIDs: [Int64], voter: String?) throws(APIError) {
        guard optionIDs.count <= Choices.optionLimit else {
            throw .invalid(field: "option_ids", message: "Name each option only once.")
        }
        if let voter, !Self.isName(voter) { throw .invalidVoter }
        guard let pollID = PollID(poll) else { throw .pollNotFound }
        self.pollID = pollID
        self.optionIDs = optionIDs
        self.voter = voter
    }

    private static func integers(
        _ values: [[UInt8]], field: String, limit: Int
    ) throws(APIError) -> [Int64] {
        guard (1...limit).contains(values.count) else {
            throw .invalid(field: field, message: "Give it once, as a whole number.")
        }
        var integers: [Int64] = []
        for value in values {
            guard let integer = value.withUnsafeBytes({ $0.decimalInteger }) else {
                throw .invalid(field: field, message: "Give a whole number.")
            }
            integers.append(integer)
        }
        return integers
    }

    /// As strict as JSON is: valid UTF-8 without U+0000.
    private static func text(_ bytes: [UInt8]) throws(APIError) -> String {
        guard !bytes.contains(0), let text = bytes.withUnsafeBytes({ $0.validString }) else {
            throw .malformedRequest
        }
        return text
    }
}

extension Gateway {
    func castVote(_ request: borrowing Request, _ exchange: Exchange) {
        let vote: Vote
        do {
            let caller = try caller(of: request)
            let body = try voteBody(of: request)
            guard let voter = voter(caller, name: body.voter) else {
                statistics.count(.voterRequired)
                return exchange.send(voterRequired())
            }
            try take(settings.rateVotes, for: .votes, by: voter, client(of: request))
            vote = Vote(
                pollID: body.pollID, optionIDs: body.optionIDs, voter: voter,
                name: body.voter, receivedAt: request.receivedUnixMilliseconds)
        } catch {
            statistics.count(error: error)
            return exchange.send(error)
        }
        if let prefer = request.field("prefer"), Prefer.isAsynchronous(prefer) {
            voteWithoutWaiting(vote) { result in
                switch result {
                case .success: exchange.send(.queuedVote)
                case .failure(let refused): exchange.send(.of(refused.outcome))
                }
            }
        } else {
            self.vote(vote) { outcome, board in
                guard outcome.isStored, let board else { return exchange.send(.of(outcome)) }
                exchange.send(Answer(outcome, of: vote, in: board.poll))
            }
        }
    }

    private func voteBody(of request: borrowing Request) throws(APIError) -> VoteBody {
        switch try request.bodyType() {
        case .json: try withJSON(text: request.body, VoteBody.init)
        case .form: try VoteBody(form: Query(request.body))
        }
    }

    /// A name is an identity only for who has nothing better, then a label.
    private func voter(_ caller: Caller, name: String?) -> VoterIdentity? {
        if let identity = caller.identity { return identity }
        return settings.acceptsVoterNames ? name.map { .name($0) } : nil
    }

    /// The ballot is not taken: with an identity that it brings along, sending it again is safe; one
    /// that we made up here for each attempt would count them all.
    private func voterRequired() -> Answer {
        guard settings.acceptsVoterCookies else { return Answer(.unauthorized) }
        let token = mintVoterToken()
        var json = JSONWriter()
        json.beginObject()
        json.write(APIError.voterRequired)
        json.member("voter_token", token)
        json.endObject()
        var answer = Answer(status: APIError.voterRequired.status, json: json)
        answer.addFields(of: .voterRequired)
        answer.fields.add("Set-Cookie", voterCookie(token))
        return answer
    }
}

extension Answer {
    /// A stored ballot.
    fileprivate init(_ outcome: BallotOutcome, of vote: Vote, in poll: Poll) {
        var json = JSONWriter()
        json.beginObject()
        switch outcome {
        case .changed(let revision):
            json.member("status", "changed")
            json.writeMembers(of: vote, in: poll, revision: revision)
            self.init(json: json)
        case .repeated(let revision):
            json.member("status", "counted")
            json.member("repeated", true)
            json.writeMembers(of: vote, in: poll, revision: revision)
            self.init(json: json)
        case .counted(let revision):
            json.member("status", "counted")
            json.writeMembers(of: vote, in: poll, revision: revision)
            self.init(status: 201, json: json)
        default: preconditionFailure("a ballot that is not stored was taken for one")
        }
    }

    fileprivate static var queuedVote: Answer {
        var json = JSONWriter()
        json.beginObject()
        json.member("status", "queued")
        json.endObject()
        var answer = Answer(status: 202, json: json)
        answer.fields.add("Preference-Applied", "respond-async")
        return answer
    }
}

extension JSONWriter {
    /// The options in the order of the poll, and the revision as the voter may see it.
    fileprivate mutating func writeMembers(of vote: Vote, in poll: Poll, revision: Int64) {
        member("poll_id", poll.id.rawValue)
        member("option_ids", poll.options.lazy.map(\.id).filter(vote.optionIDs.contains))
        member("revision", poll.revisionShownToVoter(revision))
        endObject()
    }
}

/// The Prefer field (RFC 7240).
enum Prefer {
    static func isAsynchronous(_ field: UnsafeRawBufferPointer) -> Bool {
        var rest = field
        while var preference = rest.takeElement(before: UInt8(ascii: ",")) {
            guard let name = preference.takeElement(before: UInt8(ascii: ";")) else { continue }
            if name.trimmed().isEqualIgnoringCase(to: "respond-async") { return true }
        }
        return false
    }
}

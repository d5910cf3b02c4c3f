import JSON
import Polls

/// What is wrong with a body, field by field, as Django REST framework says it.
indirect enum OriginalErrors: Error, Equatable {
    case messages([String])
    /// In the order of the fields.
    case fields([(name: String, errors: OriginalErrors)])

    static func == (a: OriginalErrors, b: OriginalErrors) -> Bool {
        switch (a, b) {
        case (.messages(let a), .messages(let b)): a == b
        case (.fields(let a), .fields(let b)):
            a.count == b.count && zip(a, b).allSatisfy { $0 == $1 }
        default: false
        }
    }

    func write(to json: inout JSONWriter) {
        switch self {
        case .messages(let messages):
            json.beginArray()
            for message in messages { json.value(message) }
            json.endArray()
        case .fields(let fields):
            json.beginObject()
            for (name, errors) in fields {
                json.name(name)
                errors.write(to: &json)
            }
            json.endObject()
        }
    }
}

/// What the original answers where a request fails as a whole.
struct OriginalFailure: Error, Equatable {
    let status: Int
    let detail: String
    /// Of ours, what else is to be said.
    private(set) var cause: APIError?

    init(_ status: Int, _ detail: String) {
        self.status = status
        self.detail = detail
    }

    /// Ours, in its words.
    init(_ error: APIError) {
        status = error.status
        detail = error.message
        cause = error
    }

    static let invalidPage = OriginalFailure(404, "Invalid page.")
    static let pollNotFound = OriginalFailure(404, "Poll not found")
    static let optionNotFound = OriginalFailure(404, "Option not found")
    static let alreadyVoted = OriginalFailure(409, "You have already voted in this poll.")
    static let pollNotOpen = OriginalFailure(409, "This poll is not open yet.")
    static let pollClosed = OriginalFailure(410, "This poll is closed.")
    static let unsupportedMediaType = OriginalFailure(
        415, "Unsupported media type in request: send application/json.")
    static let malformedJSON = OriginalFailure(400, "JSON parse error")

    static func of(_ outcome: BallotOutcome) -> OriginalFailure {
        switch outcome {
        case .alreadyVoted: alreadyVoted
        case .rejected(.pollNotFound): pollNotFound
        case .rejected(.optionNotFound), .rejected(.optionsChanged): optionNotFound
        case .rejected(.pollNotOpen): pollNotOpen
        case .rejected(.pollClosed): pollClosed
        default: OriginalFailure(.of(outcome))
        }
    }

    static func of(_ refusal: CatalogueRefusal) -> OriginalFailure {
        refusal == .pollNotFound ? pollNotFound : OriginalFailure(.of(refusal))
    }
}

extension Answer {
    init(_ failure: OriginalFailure) {
        var json = JSONWriter()
        json.beginObject()
        json.member("detail", failure.detail)
        json.endObject()
        self.init(status: failure.status, json: json)
        if let cause = failure.cause { addFields(of: cause) }
    }

    init(_ errors: OriginalErrors) {
        var json = JSONWriter()
        errors.write(to: &json)
        self.init(status: 400, json: json)
    }
}

extension Exchange {
    func send(original failure: OriginalFailure) { send(Answer(failure)) }

    /// What reading a request of the original API throws.
    func send(original error: any Error) {
        switch error {
        case let errors as OriginalErrors: send(Answer(errors))
        case let failure as OriginalFailure: send(original: failure)
        case let error as APIError: send(original: OriginalFailure(error))
        default: preconditionFailure("no error of the original API: \(error)")
        }
    }
}

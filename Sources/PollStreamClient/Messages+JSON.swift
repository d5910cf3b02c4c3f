import JSON

extension Poll {
    init(_ json: JSONValue) throws(JSONMismatch) {
        id = try json["id"].int64
        title = try json["title"].string
        description = try json["description"].string
        creatorName = try json["creator_name"].string
        isMultiple = try json["kind"].string == "multiple"
        maxChoices = try json["max_choices"].int64
        state = try State(json["state"])
        startsAt = try json["starts_at"].ifPresent?.string
        endTime = try json["end_time"].ifPresent?.string
        joinCode = try json["join_code"].string
        revision = try json["revision"].int64
        totalVotes = try json["total_votes"].ifPresent?.int64
        options = []
        for option in try json["options"].elements {
            options.append(
                Option(
                    id: try option["id"].int64, text: try option["text"].string,
                    voteCount: try option["vote_count"].ifPresent?.int64))
        }
    }
}

extension Poll.State {
    init(_ json: JSONValue) throws(JSONMismatch) {
        guard let state = Self(rawValue: try json.string) else {
            throw JSONMismatch(member: "state", reason: .wrongType)
        }
        self = state
    }
}

extension Tally {
    init(_ json: JSONValue) throws(JSONMismatch) {
        pollID = try json["poll_id"].int64
        revision = try json["revision"].int64
        total = try json["total"].int64
        at = try json["at"].int64
        counts = []
        for count in try json["counts"].elements { counts.append(try count.int64) }
    }
}

extension Receipt {
    init(_ json: JSONValue) throws(JSONMismatch) {
        guard let status = Status(rawValue: try json["status"].string) else {
            throw JSONMismatch(member: "status", reason: .wrongType)
        }
        self.status = status
        isRepeated = try json["repeated"].ifPresent?.bool ?? false
        revision = try json["revision"].int64
    }
}

/// A message on a WebSocket.
enum LiveMessage: Equatable {
    case event(LiveEvent)
    /// The gateway goes away; come back after that many milliseconds.
    case draining(reconnectInMilliseconds: Int64)
    case error(code: String, message: String)
    /// Of a kind that this client has no use for: gateways may say more than it knows.
    case other

    init(_ json: JSONValue) throws(JSONMismatch) {
        switch try json["type"].string {
        case "snapshot": self = .event(.snapshot(try Poll(json["poll"])))
        case "tally": self = .event(.tally(try Tally(json)))
        case "state":
            self = .event(
                .state(
                    pollID: try json["poll_id"].int64, revision: try json["revision"].int64,
                    state: try Poll.State(json["state"])))
        case "viewers":
            self = .event(
                .viewers(pollID: try json["poll_id"].int64, count: try json["viewers"].int64))
        case "draining":
            self = .draining(reconnectInMilliseconds: try json["reconnect_in_ms"].int64)
        case "error":
            self = .error(code: try json["code"].string, message: try json["message"].string)
        default: self = .other
        }
    }
}

/// Texts that are parsed one after the other. For one thread.
struct JSONReader {
    private let document = JSONDocument(valueCapacity: 4096)

    func read<Value>(_ text: [UInt8], _ take: (JSONValue) throws -> Value) throws(ClientError)
        -> Value
    {
        do {
            return try text.withUnsafeBytes { try take(document.parse($0)) }
        } catch {
            throw .protocolViolated("\(error)")
        }
    }
}

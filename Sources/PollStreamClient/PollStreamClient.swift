import JSON
import Threads

/// A client of a PollStream gateway: polls and votes over HTTP, tallies over a WebSocket that
/// reconnects by itself.
///
///     let client = try PollStreamClient(url: "http://127.0.0.1:8080")
///     for try await event in client.follow([7]) {
///         if case .tally(let tally) = event { print(tally.counts) }
///     }
///
/// Speaks plain HTTP; where the gateway is far away let TLS end at a proxy beside the client. May be
/// used from any task; each call blocks a thread of its own, not one of the pool.
///
/// Each call throws what any may meet: `.unreachable`, `.connectionLost`, `.timedOut`,
/// `.protocolViolated`, and `.refused` with the gateway's own status and code.
public struct PollStreamClient: Sendable {
    private let endpoint: Endpoint
    private let token: String?
    /// For each call, all in all.
    public var limit: Duration = .seconds(10)

    /// - Parameters:
    ///   - url: `http://HOST[:PORT]`.
    ///   - token: who votes: a JWT, or the `psv_` token that a gateway gave.
    /// - Throws: `.badURL`. Nothing is asked of the gateway yet.
    public init(url: String, token: String? = nil) throws(ClientError) {
        endpoint = try Endpoint(url)
        self.token = token
    }

    // MARK: Polls

    /// Creates a poll, which is open at once.
    /// - Parameters:
    ///   - draft: what to ask.
    ///   - adminKey: `psa_…`, where the gateway asks for one.
    /// - Returns: the poll and its host key, which is shown this once.
    /// - Throws: `.refused` with 401 or 403 where the admin key is missing or another, 422 where a
    ///   field of the draft is wrong. After `.connectionLost` or `.timedOut` nobody knows whether there
    ///   is a poll, and the same call again makes another one.
    public func create(
        _ draft: PollDraft, adminKey: String? = nil
    ) async throws(ClientError) -> (poll: Poll, hostKey: String) {
        try await call("POST", "/polls/", body: draft.body, bearer: adminKey) { json in
            (try Poll(json), try json["host_key"].string)
        }
    }

    /// Reads a poll; with its host key also counts that are hidden from others.
    /// - Throws: `.refused` with 404 where there is no such poll.
    public func poll(_ id: Int64, hostKey: String? = nil) async throws(ClientError) -> Poll {
        try await call("GET", "/polls/\(id)/", bearer: hostKey ?? token) { try Poll($0) }
    }

    /// Opens a scheduled poll before its time.
    /// - Throws: `.refused` with 401 or 403 where the key is not the poll's, 404 where there is no such
    ///   poll, 409 where it is closed.
    public func open(_ id: Int64, hostKey: String) async throws(ClientError) -> Poll {
        try await call("POST", "/polls/\(id)/open/", bearer: hostKey) { try Poll($0) }
    }

    /// Ends a poll for good: its counts change no more.
    /// - Throws: `.refused` with 401 or 403 where the key is not the poll's, 404 where there is no such
    ///   poll.
    public func close(_ id: Int64, hostKey: String) async throws(ClientError) -> Poll {
        try await call("POST", "/polls/\(id)/close/", bearer: hostKey) { try Poll($0) }
    }

    // MARK: Votes

    /// Casts a ballot; returns once it is durable. After an error that `isTransient` the same call
    /// again is safe: a voter counts once.
    /// - Parameters:
    ///   - poll: its id.
    ///   - options: ids of options.
    ///   - voter: a name, for who has no token; where the gateway takes names.
    /// - Throws: `.refused` with 401 where nobody says who votes, 404 where there is no such poll or
    ///   option, 409 where the poll is not open or the voter has voted for something else, 422 for too
    ///   many options, 429 past a rate.
    public func vote(
        _ poll: Int64, options: [Int64], voter: String? = nil
    ) async throws(ClientError) -> Receipt {
        var json = JSONWriter()
        json.beginObject()
        json.member("poll_id", poll)
        json.member("option_ids", options)
        if let voter { json.member("voter", voter) }
        json.endObject()
        return try await call("POST", "/votes/", body: Array(json.bytes), bearer: token) {
            try Receipt($0)
        }
    }

    // MARK: Live

    /// What happens to polls, from their snapshots on, for as long as it is iterated: by one task.
    /// - Throws: from the iteration, where trying again would not help: an unknown poll, say.
    public func follow(_ polls: [Int64], hostKey: String? = nil) -> LiveEvents {
        LiveEvents(endpoint, token: token, polls: polls, hostKey: hostKey)
    }

    // MARK: Details

    private func call<Value: Sendable>(
        _ method: String, _ path: String, body: [UInt8] = [], bearer: String?,
        _ take: @escaping @Sendable (JSONValue) throws -> Value
    ) async throws(ClientError) -> Value {
        var call = HTTPCall(method: method, path: path, body: body)
        if let bearer { call.fields.append(("Authorization", "Bearer \(bearer)")) }
        let (endpoint, limit) = (endpoint, limit)
        return try await onThreadOfItsOwn { [call] () throws(ClientError) -> Value in
            let response = try call.perform(at: endpoint, limit: limit)
            let reader = JSONReader()
            guard (200..<300).contains(response.status) else {
                let said = try? reader.read(response.body) {
                    (try $0["error"]["code"].string, try $0["error"]["message"].string)
                }
                throw .refused(
                    status: response.status, code: said?.0 ?? "unknown", message: said?.1 ?? "",
                    retryAfterSeconds: response.fields["retry-after"].flatMap { Int($0) })
            }
            return try reader.read(response.body, take)
        }
    }
}

/// Blocking has no place on the threads that tasks share.
private func onThreadOfItsOwn<Value: Sendable>(
    _ body: @escaping @Sendable () throws(ClientError) -> Value
) async throws(ClientError) -> Value {
    let result: Result<Value, ClientError> = await withCheckedContinuation { continuation in
        Thread(name: "poll call") {
            do throws(ClientError) {
                continuation.resume(returning: .success(try body()))
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }.detach()
    }
    return try result.get()
}

extension PollDraft {
    fileprivate var body: [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.member("title", title)
        json.member("kind", isMultiple ? "multiple" : "single")
        if let maxChoices { json.member("max_choices", maxChoices) }
        json.member("change_vote", changesVote)
        json.name("options")
        json.beginArray()
        for option in options { json.value(option) }
        json.endArray()
        json.endObject()
        return Array(json.bytes)
    }
}

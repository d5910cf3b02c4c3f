import Identity
import JSON
import Polls
import Reactor

/// What clients say over a WebSocket. Nothing they can say closes it but a binary message.
extension Gateway {
    /// Of a `ref`, as it was sent, quotes included.
    private static let referenceByteCount = 128

    func obey(_ message: Message, from connection: ConnectionID) {
        guard message.isText else {
            return loop.close(connection, code: 1003, reason: "send text")
        }
        // What nobody can read counts, too.
        let sender = settings.rateMessages == nil ? nil : sockets.viewer(connection).identity
        let isAllowed = allows(settings.rateMessages, for: .messages, by: sender, on: connection)
        let root: JSONValue
        do {
            root = try document.parse(message.payload)
        } catch {
            return sendError(isAllowed ? .malformedJSON : .rateLimited, to: connection, nil)
        }
        guard root.kind == .object else {
            return sendError(isAllowed ? .malformedRequest : .rateLimited, to: connection, nil)
        }
        var reference: String?
        do {
            reference = try self.reference(root["ref"])
            guard isAllowed else { throw LiveError(error: .rateLimited) }
            switch try root["type"].string {
            case "vote":
                do {
                    try vote(root, message, from: connection, reference)
                } catch {
                    let refused = error as? LiveError
                    statistics.count(refused.map { .init($0.error) } ?? .invalid)
                    throw error
                }
            case "subscribe":
                try subscribe(root, connection, reference)
            case "unsubscribe":
                unsubscribe(connection, from: try pollIDs(root).compactMap { PollID($0) })
            case "ping":
                sendText(to: connection) { $0.writePong(reference: reference) }
            default:
                throw LiveError(error: .malformedRequest)
            }
        } catch let refused as LiveError {
            sendError(refused.error, to: connection, reference, poll: refused.poll)
        } catch let mismatch as JSONMismatch {
            sendError(.invalid(mismatch), to: connection, reference)
        } catch {
            preconditionFailure("reading a message throws two kinds of errors")
        }
    }

    private func subscribe(
        _ root: JSONValue, _ connection: ConnectionID, _ reference: String?
    ) throws {
        var ids: [PollID] = []
        for number in try pollIDs(root) {
            guard let id = PollID(number) else {
                throw LiveError(error: .pollNotFound, poll: number)
            }
            if !ids.contains(id) { ids.append(id) }
        }
        let hostKey = try root["host_key"].ifPresent?.string
        try expectRoomForAnswer(connection)
        subscribe(
            connection,
            Subscription(
                ids: ids, hostKeyHash: hostKey.map(HostKey.hash), reference: reference))
    }

    private func vote(
        _ root: JSONValue, _ message: Message, from connection: ConnectionID, _ reference: String?
    ) throws {
        guard settings.services.contains(.votes) else { throw LiveError(error: .notFound) }
        let pollNumber = try root["poll_id"].int64
        let elements = try root["option_ids"].elements
        guard (1...Choices.optionLimit).contains(elements.count) else {
            let message =
                elements.count == 0 ? "Choose at least one option." : "Name each option only once."
            throw LiveError(error: .invalid(field: "option_ids", message: message))
        }
        var optionIDs: [Int64] = []
        optionIDs.reserveCapacity(elements.count)
        for element in elements { optionIDs.append(try element.int64) }
        let name = try voterName(root)
        guard let pollID = PollID(pollNumber) else { throw LiveError(error: .pollNotFound) }
        let voter = try voter(of: connection, name: name, at: message.receivedUnixMilliseconds)
        try expectRoomForAnswer(connection)
        guard allows(settings.rateVotes, for: .votes, by: voter, on: connection) else {
            throw LiveError(error: .rateLimited)
        }
        vote(
            Vote(
                pollID: pollID, optionIDs: optionIDs, voter: voter, name: name,
                receivedAt: message.receivedUnixMilliseconds),
            from: connection, reference: reference)
    }

    // MARK: Members

    /// JSON, as it was sent: an answer repeats it to the letter.
    private func reference(_ member: JSONValue) throws -> String? {
        guard let value = member.ifPresent else { return nil }
        guard value.kind == .string else { return String(try value.int64) }
        guard value.text.count <= Self.referenceByteCount else {
            throw LiveError(
                error: .invalid(field: "ref", message: "Use at most 126 bytes."))
        }
        return String(decoding: value.text, as: UTF8.self)
    }

    private func pollIDs(_ root: JSONValue) throws -> [Int64] {
        let elements = try root["poll_ids"].elements
        guard elements.count > 0 else {
            throw LiveError(
                error: .invalid(field: "poll_ids", message: "Name at least one poll."))
        }
        guard elements.count <= settings.subscriptionCount else {
            throw LiveError(error: .tooManySubscriptions)
        }
        var ids: [Int64] = []
        ids.reserveCapacity(elements.count)
        for element in elements { ids.append(try element.int64) }
        return ids
    }

    private func voterName(_ root: JSONValue) throws -> String? {
        guard let value = root["voter"].ifPresent else { return nil }
        let name = try value.string
        guard VoteBody.isName(name) else { throw LiveError(error: .invalidVoter) }
        return name
    }

    /// A name is an identity only for who has nothing better, then a label.
    private func voter(
        of connection: ConnectionID, name: String?, at unixMilliseconds: Int64
    ) throws -> VoterIdentity {
        let viewer = sockets.viewer(connection)
        if let identity = viewer.identity {
            // A socket outlives its token, but does not stretch it.
            if let expiresAt = viewer.expiresAt, unixMilliseconds / 1_000 >= expiresAt {
                throw LiveError(error: .invalidToken)
            }
            return identity
        }
        guard let name, settings.acceptsVoterNames else {
            throw LiveError(error: .voterRequired)
        }
        return .name(name)
    }

    private func expectRoomForAnswer(_ connection: ConnectionID) throws {
        let limit = min(settings.unansweredMessageCount, Int(UInt16.max))
        guard sockets[connection].unansweredCount < limit else {
            statistics.count(limit: .unansweredMessages)
            throw LiveError(error: .overloaded)
        }
    }
}

/// Why a message is not obeyed.
private struct LiveError: Error {
    let error: APIError
    /// The poll that it is about, where the message names several.
    var poll: Int64?
}

extension APIError {
    /// A member that is missing or of another type.
    static func invalid(_ mismatch: JSONMismatch) -> APIError {
        let message =
            switch mismatch.reason {
            case .missing, .null: "Give this member."
            case .wrongType: "Give a value of the right type."
            case .notAnInteger: "Give an integer."
            case .outOfRange: "Give a smaller number."
            }
        return .invalid(field: mismatch.member, message: message)
    }
}

import JSON
import Polls
import Reactor

/// Messages for one connection.
extension Gateway {
    /// Sends what `write` leaves in the writer over a WebSocket.
    func sendText(to connection: ConnectionID, _ write: (inout JSONWriter) -> Void) {
        // Gone or too slow: it is reported closed on a later turn.
        frames.withText(write) { text in _ = loop.send(text: text, to: connection) }
    }

    /// Sends a message over a WebSocket or an event stream.
    func send(
        _ event: StaticString, to connection: ConnectionID, revision: Int64? = nil,
        _ write: (inout JSONWriter) -> Void
    ) {
        guard sockets[connection].encoding == .eventStream else {
            return sendText(to: connection, write)
        }
        frames.begin(.eventStream)
        frames.add(event, revision: revision, write)
        frames.withBytes { bytes in _ = loop.send(text: bytes, to: connection) }
    }

    func sendError(
        _ error: APIError, to connection: ConnectionID, _ reference: String?, poll: PollID? = nil
    ) {
        sendError(error, to: connection, reference, poll: poll?.rawValue)
    }

    func sendError(
        _ error: APIError, to connection: ConnectionID, _ reference: String?, poll: Int64?
    ) {
        if error.code == APIError.tooManySubscriptions.code {
            statistics.count(limit: .subscriptions)
        }
        tellRefusal(error, reference: reference)
        send("error", to: connection) { $0.writeError(error, reference: reference, poll: poll) }
    }
}

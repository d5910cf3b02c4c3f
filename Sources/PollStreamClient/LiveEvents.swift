/// What a follower hears, as a sequence; its connection lives as long as this value does.
public struct LiveEvents: AsyncSequence, Sendable {
    public typealias Element = LiveEvent

    private let connection: Connection

    init(_ endpoint: Endpoint, token: String?, polls: [Int64], hostKey: String?) {
        connection = Connection(endpoint, token: token, polls: polls, hostKey: hostKey)
    }

    public func makeAsyncIterator() -> Iterator { Iterator(connection: connection) }

    /// Takes event by event; what is new meanwhile replaces what is old.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let connection: Connection

        /// Ends with nil when the task is cancelled.
        /// - Throws: `ClientError` where trying again would not help: an unknown poll, say.
        public mutating func next() async throws -> LiveEvent? {
            let mailbox = connection.mailbox
            return try await withTaskCancellationHandler {
                try await mailbox.next()
            } onCancel: {
                mailbox.finish(nil)
            }
        }
    }

    /// Ends the follower when nobody listens any more.
    fileprivate final class Connection: Sendable {
        let mailbox = LiveMailbox()
        private let follower: Follower

        init(_ endpoint: Endpoint, token: String?, polls: [Int64], hostKey: String?) {
            follower = Follower(
                endpoint, token: token, polls: polls, hostKey: hostKey,
                tell: { [mailbox] in mailbox.put($0) },
                end: { [mailbox] in mailbox.finish($0) })
        }

        deinit { follower.stop() }
    }
}

import Threads

/// What a follower has heard and nobody has taken yet. Newest wins: a reader that is slow gets the
/// newest tally of each poll, and what waits is bounded by the polls, never by how much happens.
final class LiveMailbox: @unchecked Sendable {
    // Guarded by `monitor`.
    private let monitor = Monitor()
    private var pending: [LiveEvent] = []
    private var end: Result<Void, ClientError>?
    private var reader: CheckedContinuation<LiveEvent?, any Error>?

    /// From any thread.
    func put(_ event: LiveEvent) {
        let reader: CheckedContinuation<LiveEvent?, any Error>? = monitor.withLock {
            guard end == nil else { return nil }
            guard let reader = self.reader else {
                pending.conflate(event)
                return nil
            }
            self.reader = nil
            return reader
        }
        reader?.resume(returning: event)
    }

    /// Nothing comes after what is there. The first call counts.
    func finish(_ failure: ClientError?) {
        let reader = monitor.withLock {
            if end == nil { end = failure.map { .failure($0) } ?? .success(()) }
            defer { self.reader = nil }
            return self.reader
        }
        if let failure { reader?.resume(throwing: failure) } else { reader?.resume(returning: nil) }
    }

    /// The next event; nil at the end. One reader at a time.
    func next() async throws -> LiveEvent? {
        try await withCheckedThrowingContinuation { continuation in
            monitor.lock()
            if !pending.isEmpty {
                let event = pending.removeFirst()
                monitor.unlock()
                continuation.resume(returning: event)
            } else if let end {
                monitor.unlock()
                continuation.resume(with: end.map { nil }.mapError { $0 })
            } else {
                precondition(reader == nil, "two readers of one follower")
                reader = continuation
                monitor.unlock()
            }
        }
    }
}

extension [LiveEvent] {
    /// Appends `event` and takes out what it makes superfluous.
    mutating func conflate(_ event: LiveEvent) {
        switch event {
        case .snapshot(let poll): removeAll { $0.pollID == poll.id }
        case .tally(let tally):
            // Not from before a state: the final tally comes first.
            if let last = lastIndex(where: { $0.pollID == tally.pollID && !$0.isViewers }),
                case .tally = self[last]
            {
                remove(at: last)
            }
        case .viewers(let id, _): removeAll { $0.pollID == id && $0.isViewers }
        case .connected, .disconnected: removeAll { $0.pollID == nil }
        case .state: break  // a poll has three of them at most
        }
        append(event)
    }
}

extension LiveEvent {
    /// nil: of the connection.
    fileprivate var pollID: Int64? {
        switch self {
        case .snapshot(let poll): poll.id
        case .tally(let tally): tally.pollID
        case .state(let id, _, _), .viewers(let id, _): id
        case .connected, .disconnected: nil
        }
    }

    fileprivate var isViewers: Bool {
        if case .viewers = self { true } else { false }
    }
}

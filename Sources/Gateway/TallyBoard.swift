import Polls
import Reactor

/// Who watches one poll on this loop: a topic for each audience and encoding that somebody is in.
struct Watchers {
    /// Empty, or a place for each audience and encoding.
    private var topics: [Topic?] = []
    private var topicCount = 0
    /// Bit by place: had no subscriber at the last visit.
    private var wereEmpty: UInt8 = 0
    private var snapshots = SnapshotFrames()
    /// The count that subscribers have last been told.
    var announcedViewerCount = 0
    /// Subscribers that will see more once their own identity has a ballot.
    var awaitingBallot = AwaitingBallot()

    var isEmpty: Bool { topicCount == 0 }

    var subscriberCount: Int { topics.reduce(0) { $0 + ($1?.subscriberCount ?? 0) } }

    /// As they are now.
    func subscribers(_ audience: Audience) -> [ConnectionID] {
        Encoding.allCases.flatMap { self[audience, $0]?.subscribers ?? [] }
    }

    subscript(audience: Audience, encoding: Encoding) -> Topic? {
        topics.isEmpty ? nil : topics[Self.place(audience, encoding)]
    }

    /// The topic, made where there is none.
    mutating func topic(_ audience: Audience, _ encoding: Encoding, on loop: Loop) -> Topic {
        if let topic = self[audience, encoding] { return topic }
        if topics.isEmpty {
            topics = Array(repeating: nil, count: Audience.allCases.count * Encoding.allCases.count)
        }
        let topic = Topic(on: loop)
        topics[Self.place(audience, encoding)] = topic
        wereEmpty &= ~(1 << UInt8(Self.place(audience, encoding)))
        topicCount += 1
        return topic
    }

    /// The audience that a connection is in.
    func audience(of connection: ConnectionID, _ encoding: Encoding) -> Audience? {
        guard !topics.isEmpty else { return nil }
        return Audience.allCases.first { self[$0, encoding]?.has(connection) ?? false }
    }

    /// Ends the topics that have had no subscriber since the last call.
    mutating func removeEmptyTopics() {
        for place in topics.indices {
            guard let topic = topics[place] else { continue }
            let bit: UInt8 = 1 << UInt8(place)
            if topic.subscriberCount > 0 {
                wereEmpty &= ~bit
            } else if wereEmpty & bit == 0 {
                wereEmpty |= bit
            } else {
                topics[place] = nil
                topicCount -= 1
            }
        }
        if topicCount == 0 {
            // Only what is watched is worth the memory.
            self = Watchers()
        }
    }

    /// Forgets who left before it voted.
    mutating func sweepAwaiting() {
        let topics = Encoding.allCases.compactMap { self[.everybody, $0] }
        awaitingBallot.sweep { connection in topics.contains { $0.has(connection) } }
    }

    /// Takes the topics away from the board, which ends.
    mutating func retire() -> [Topic] {
        let retired = topics.compactMap { $0 }
        self = Watchers()
        return retired
    }

    /// The topic where it has subscribers.
    func occupied(_ audience: Audience, _ encoding: Encoding) -> Topic? {
        guard let topic = self[audience, encoding], topic.subscriberCount > 0 else { return nil }
        return topic
    }

    /// The snapshot of `poll`, encoded once until `forgetSnapshots`; while memory is short, each time.
    mutating func snapshot(
        of poll: Poll, _ view: PollView, _ encoding: Encoding, with writer: inout FrameWriter,
        on loop: Loop
    ) -> SharedFrame {
        if let frame = snapshots[view, encoding] { return frame }
        writer.begin(encoding)
        writer.addSnapshot(of: poll, view)
        let frame = SharedFrame(writer.frame(on: loop))
        if !loop.budget.isShort { snapshots[view, encoding] = frame }
        return frame
    }

    /// Keeps no frame that nobody waits for.
    mutating func trim() {
        forgetSnapshots()
        for topic in topics { topic?.trim() }
    }

    /// - Parameter view: what changed was to be seen in this view alone; nil: in both.
    mutating func forgetSnapshots(_ view: PollView? = nil) {
        if let view { snapshots.forget(view) } else { snapshots = SnapshotFrames() }
    }

    private static func place(_ audience: Audience, _ encoding: Encoding) -> Int {
        audience.rawValue * Encoding.allCases.count + encoding.rawValue
    }
}

/// A frame in a place that more than one may look at.
final class SharedFrame {
    let frame: Frame

    init(_ frame: consuming Frame) { self.frame = frame }
}

private struct SnapshotFrames {
    private var everything: (webSocket: SharedFrame?, eventStream: SharedFrame?)
    private var hidden: (webSocket: SharedFrame?, eventStream: SharedFrame?)

    subscript(view: PollView, encoding: Encoding) -> SharedFrame? {
        get {
            let frames = view == .everything ? everything : hidden
            return encoding == .webSocket ? frames.webSocket : frames.eventStream
        }
        set {
            switch (view, encoding) {
            case (.everything, .webSocket): everything.webSocket = newValue
            case (.everything, .eventStream): everything.eventStream = newValue
            case (.hidden, .webSocket): hidden.webSocket = newValue
            case (.hidden, .eventStream): hidden.eventStream = newValue
            }
        }
    }

    mutating func forget(_ view: PollView) {
        switch view {
        case .everything: everything = (nil, nil)
        case .hidden: hidden = (nil, nil)
        }
    }
}

// MARK: Fan-out

/// Each message is encoded once for a loop and encoding, and only where somebody is to get it.
extension Board {
    /// Offers the newest tally to whoever may see it.
    /// - Parameter ballotAt: as `Topic.publishTally`.
    func publishTally(ballotAt: Int64 = 0, with writer: inout FrameWriter, on loop: Loop) {
        guard !watchers.isEmpty else { return }
        watchers.forgetSnapshots(.everything)
        for encoding in Encoding.allCases {
            var shared: SharedFrame?
            for audience in Audience.allCases where poll.view(for: audience) == .everything {
                guard let topic = watchers.occupied(audience, encoding) else { continue }
                if shared == nil {
                    writer.begin(encoding)
                    writer.addTally(poll.tally)
                    shared = SharedFrame(writer.frame(on: loop))
                }
                if let shared { topic.publishTally(shared.frame, ballotAt: ballotAt) }
            }
        }
    }

    /// Tells of a change that nobody may miss. The final tally and `closed` are one frame.
    func publish(_ change: Change, with writer: inout FrameWriter, on loop: Loop) {
        guard !watchers.isEmpty else { return }
        watchers.forgetSnapshots()
        for encoding in Encoding.allCases {
            for view in PollView.allCases {
                var frames: (transition: SharedFrame, snapshot: SharedFrame)?
                for audience in Audience.allCases where poll.view(for: audience) == view {
                    guard let topic = watchers.occupied(audience, encoding) else { continue }
                    let both = frames ?? encode(change, view, encoding, with: &writer, on: loop)
                    frames = both
                    topic.publishState(
                        both.transition.frame, snapshot: both.snapshot.frame,
                        supersedesTally: change.isEdited || change.isClosed || change.bringsBallots)
                }
            }
        }
    }

    /// Tells that the poll is no more.
    func publishDeletion(revision: Int64, with writer: inout FrameWriter, on loop: Loop) {
        for encoding in Encoding.allCases {
            for audience in Audience.allCases {
                guard let topic = watchers.occupied(audience, encoding) else { continue }
                writer.begin(encoding)
                writer.add("state", revision: revision) {
                    $0.writeState("deleted", of: id, revision: revision)
                }
                let frame = writer.frame(on: loop)
                topic.publishState(frame, snapshot: frame, supersedesTally: true)
            }
        }
    }

    /// Tells how many watch in all.
    func publishViewers(_ count: Int, with writer: inout FrameWriter, on loop: Loop) {
        watchers.announcedViewerCount = count
        for encoding in Encoding.allCases {
            for audience in Audience.allCases {
                guard let topic = watchers.occupied(audience, encoding) else { continue }
                writer.begin(encoding)
                writer.add("viewers") { $0.writeViewers(count, of: id) }
                topic.publishViewers(writer.frame(on: loop))
            }
        }
    }

    private func encode(
        _ change: Change, _ view: PollView, _ encoding: Encoding, with writer: inout FrameWriter,
        on loop: Loop
    ) -> (transition: SharedFrame, snapshot: SharedFrame) {
        let snapshot = watchers.snapshot(of: poll, view, encoding, with: &writer, on: loop)
        let revision = poll.revision(in: view)
        writer.begin(encoding)
        if change.isEdited {
            // Where it closes as well, the final tally is in there.
            writer.addSnapshot(of: poll, view)
        } else if change.isClosed || change.bringsBallots && view == .everything {
            writer.addTally(poll.tally)
        }
        if change.isOpened || change.isClosed {
            writer.add("state", revision: revision) {
                $0.writeState(poll.state.rawValue, of: id, revision: revision)
            }
        }
        return (SharedFrame(writer.frame(on: loop)), snapshot)
    }
}

extension FrameWriter {
    mutating func addSnapshot(of poll: Poll, _ view: PollView) {
        add("snapshot", revision: poll.revision(in: view)) {
            $0.writeSnapshot(of: poll, view: view)
        }
    }

    mutating func addTally(_ tally: Tally) {
        add("tally", revision: tally.revision) { $0.writeTally(tally) }
    }
}

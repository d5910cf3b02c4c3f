import CReactor
import CWire

/// Encoded bytes, immutable, shared by all who are to get them. Of one loop.
package struct Frame: ~Copyable {
    let handle: OpaquePointer

    /// WebSocket messages in a row, as `append(text:to:)` puts them.
    package init(messages: [UInt8], on loop: Loop) {
        handle = messages.withUnsafeBytes { bytes in
            Frame.checked(
                ps_frame_create_messages(
                    loop.handle, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
                    bytes.count))
        }
    }

    /// Bytes as they are.
    package init(raw: [UInt8], on loop: Loop) {
        handle = raw.withUnsafeBytes { bytes in
            Frame.checked(
                ps_frame_create_raw(
                    loop.handle, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
                    bytes.count))
        }
    }

    deinit { ps_frame_release(handle) }

    private static func checked(_ handle: OpaquePointer?) -> OpaquePointer {
        guard let handle else { preconditionFailure("not enough memory for a frame") }
        return handle
    }
}

/// The subscribers of one poll in one view and encoding, on one loop. Lanes and their rules are
/// described in `creactor.h`.
package final class Topic {
    private let handle: OpaquePointer
    private let loop: Loop  // outlives its topics

    package init(on loop: Loop) {
        guard let handle = ps_topic_create(loop.handle) else {
            preconditionFailure("not enough memory for a topic")
        }
        self.handle = handle
        self.loop = loop
    }

    deinit { ps_topic_destroy(handle) }

    package enum SubscribeResult { case subscribed, alreadySubscribed, gone, tooMany }

    /// The subscriber is owed nothing of what was published before: send it a snapshot.
    package func subscribe(_ connection: ConnectionID) -> SubscribeResult {
        switch ps_topic_subscribe(handle, connection.rawValue) {
        case 1: .subscribed
        case 0: .alreadySubscribed
        case PS_FULL.rawValue: .tooMany
        default: .gone
        }
    }

    /// Returns whether it was subscribed.
    @discardableResult
    package func unsubscribe(_ connection: ConnectionID) -> Bool {
        ps_topic_unsubscribe(handle, connection.rawValue) == 1
    }

    package func has(_ connection: ConnectionID) -> Bool {
        ps_topic_has(handle, connection.rawValue)
    }

    package var subscriberCount: Int { Int(ps_topic_subscriber_count(handle)) }

    /// Lets go of the frames that every subscriber has had.
    package func trim() { ps_topic_trim(handle) }

    /// As they are now, in no order.
    package var subscribers: [ConnectionID] {
        (0..<ps_topic_subscriber_count(handle)).map {
            ConnectionID(ps_topic_subscriber(handle, $0))
        }
    }

    /// Newest wins, at most one a tick; the first after quiet at once.
    /// - Parameters:
    ///   - frame: the whole tally, encoded.
    ///   - ballotAt: when the oldest ballot came in that no tally before counts, Unix milliseconds:
    ///     how long it takes to the viewers is measured. 0: it is not.
    package func publishTally(_ frame: borrowing Frame, ballotAt: Int64 = 0) {
        ps_topic_publish_tally(handle, frame.handle, ballotAt)
    }

    /// Never skipped.
    /// - Parameters:
    ///   - transition: for who has seen the state before it.
    ///   - snapshot: for the others.
    ///   - supersedesTally: both carry what replaces a tally not yet sent.
    package func publishState(
        _ transition: borrowing Frame, snapshot: borrowing Frame, supersedesTally: Bool
    ) {
        ps_topic_publish_state(handle, transition.handle, snapshot.handle, supersedesTally)
    }

    package func publishViewers(_ frame: borrowing Frame) {
        ps_topic_publish_viewers(handle, frame.handle)
    }
}

import JSON
import Reactor

/// How messages travel to a subscriber.
enum Encoding: Int, CaseIterable { case webSocket, eventStream }

/// Puts messages into frames. Its two buffers are used again, so that a frame costs one allocation,
/// its own.
struct FrameWriter {
    private(set) var json = JSONWriter()
    private var bytes: [UInt8] = []
    private var encoding = Encoding.webSocket

    /// Begins a frame.
    mutating func begin(_ encoding: Encoding) {
        bytes.removeAll(keepingCapacity: true)
        self.encoding = encoding
    }

    /// Adds the message that `write` leaves in the writer.
    /// - Parameters:
    ///   - event: its type.
    ///   - revision: what an event stream resumes from; nil for what changes nothing of the poll.
    mutating func add(
        _ event: StaticString, revision: Int64? = nil, _ write: (inout JSONWriter) -> Void
    ) {
        write(&json)
        switch encoding {
        case .webSocket: json.bytes.withUnsafeBytes { Frame.append(text: $0, to: &bytes) }
        case .eventStream: appendEvent(event, revision)
        }
    }

    /// One message as text, for one connection.
    mutating func withText<R>(
        _ write: (inout JSONWriter) -> Void, _ body: (UnsafeRawBufferPointer) -> R
    ) -> R {
        write(&json)
        return json.bytes.withUnsafeBytes(body)
    }

    func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R { bytes.withUnsafeBytes(body) }

    func frame(on loop: Loop) -> Frame {
        switch encoding {
        case .webSocket: Frame(messages: bytes, on: loop)
        case .eventStream: Frame(raw: bytes, on: loop)
        }
    }

    /// Server-Sent Events (HTML §9.2.5). JSON as we write it has no line break.
    private mutating func appendEvent(_ event: StaticString, _ revision: Int64?) {
        append("event: ")
        append(event)
        if let revision {
            append("\nid: ")
            bytes.append(contentsOf: revision.description.utf8)
        }
        append("\ndata: ")
        bytes.append(contentsOf: json.bytes)
        append("\n\n")
    }

    private mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }
}

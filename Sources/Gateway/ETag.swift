import Polls

/// Names one state of a resource (RFC 9110 §8.8.3).
struct ETag: Equatable {
    /// With its quotes.
    let text: String

    /// Of a poll as `view` shows it: its revision there, and where that leaves the words open, theirs.
    /// One revision may be that of both views, as long as nobody has voted since the last change, and
    /// yet only one of them has numbers.
    /// - Parameter variant: tells representations of one view apart.
    init(of poll: Poll, _ view: PollView, variant: StaticString = "") {
        let hidden = view == .hidden ? "-hidden" : ""
        let words = poll.isNamedByRevision(in: view) ? "" : "-\(poll.shownRevision)"
        text = "\"\(poll.revision(in: view))\(words)\(hidden)\(variant)\""
    }

    /// Of bytes that change only with the program (FNV-1a, 64 bits).
    init(of bytes: [UInt8]) {
        let hash = bytes.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
            ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3
        }
        text = "\"\(String(hash, radix: 16))\""
    }

    /// Whether an If-None-Match field names it, compared weakly (RFC 9110 §13.1.2). What cannot be
    /// read names nothing.
    func isNamed(by field: UnsafeRawBufferPointer) -> Bool {
        var rest = field
        // Our tags hold no comma, so a foreign one that does is at worst cut into more foreign ones.
        while let element = rest.takeElement(before: UInt8(ascii: ",")) {
            var tag = element.trimmed()
            if tag.isEqual(to: "*") { return true }
            if tag.hasPrefix("W/") { tag = tag.removing(prefixCount: 2) }
            if tag.isEqual(to: text) { return true }
        }
        return false
    }
}

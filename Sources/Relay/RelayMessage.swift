package import Identity
package import Polls

/// What gateways tell one another, as ASCII words: version, kind, node, what the kind says, seal.
///
///     1 tally 8f3c… 42 1766490000123 3 1766490000120 1,2 SEAL
///     1 viewers 8f3c… 42 17 SEAL
///     1 changed 8f3c… 42 SEAL
///     1 voted 8f3c… 42 00af6b2c…,1c20… SEAL
///     1 counted 8f3c… 42 0 c3a46461 SEAL
///     1 alive 8f3c… SEAL
package enum RelayMessage: Sendable, Equatable {
    case tally(Tally)
    /// How many watch a poll through the sender; 0 where nobody does any more.
    case viewers(PollID, count: Int)
    /// Created, changed, closed or deleted: what it is now stands in the database.
    case changed(PollID)
    /// Who has voted in an `after_vote` poll, by the keys that stand in the database: 20 hexadecimal
    /// digits each.
    case voted(PollID, [VoterKey])
    /// A vote, for who listens to all of them; the name is UTF-8 in hexadecimal, and a dot.
    case counted(VoteNotice)
    /// Of the sender's own channel: what it does not hear back, nobody hears.
    case alive

    /// Longest message that is looked at, bytes: 64 counts and what is around them.
    static let byteLimit = 2_048
    /// Keys in one message.
    static let voterLimit = 80
    private static let version = "1"

    package func encoded(by node: NodeID, with seal: RelaySeal) -> [UInt8] {
        let bytes = unsealed(by: node)
        return bytes + seal.seal(bytes)
    }

    private func unsealed(by node: NodeID) -> [UInt8] {
        let words: String
        switch self {
        case .tally(let tally):
            let counts = tally.counts.map { String($0) }.joined(separator: ",")
            words =
                "tally \(node) \(tally.pollID.rawValue) \(tally.revision) \(tally.ballots)"
                + " \(tally.at) \(counts)"
        case .viewers(let poll, let count): words = "viewers \(node) \(poll.rawValue) \(count)"
        case .changed(let poll): words = "changed \(node) \(poll.rawValue)"
        case .voted(let poll, let voters):
            words =
                "voted \(node) \(poll.rawValue) "
                + voters.map(\.digits).joined(separator: ",")
        case .counted(let notice):
            words =
                "counted \(node) \(notice.pollID.rawValue) \(notice.position) "
                + Hexadecimal.encode(notice.voter) + "."
        case .alive: words = "alive \(node)"
        }
        return Array("\(Self.version) \(words) ".utf8)
    }

    /// - Returns: nil where it is of another version, or not what these gateways say.
    static func decode(_ bytes: [UInt8], with seal: RelaySeal) -> (RelayMessage, from: NodeID)? {
        guard (RelaySeal.characterCount...byteLimit).contains(bytes.count) else { return nil }
        let text = bytes.dropLast(RelaySeal.characterCount)
        guard seal.isSealed(text, by: bytes.suffix(RelaySeal.characterCount)),
            let (message, node) = read(text),
            // Byte for byte as a gateway says it. What `read` passes over, such as a gap in a list of
            // counts, would give the options behind it the counts of others.
            message.unsealed(by: node).elementsEqual(text)
        else { return nil }
        return (message, node)
    }

    private static func read(_ text: some Collection<UInt8>) -> (RelayMessage, from: NodeID)? {
        let words = String(decoding: text, as: UTF8.self).split(separator: " ")
        guard words.count >= 3, words[0] == version, let node = NodeID(words[2]) else { return nil }
        let numbers = words.dropFirst(3).map { Int64($0) }
        func poll() -> PollID? { numbers.first.flatMap { $0 }.flatMap { PollID($0) } }
        switch (words[1], words.count) {
        case ("alive", 3): return (.alive, node)
        case ("changed", 4): return poll().map { (.changed($0), node) }
        case ("viewers", 5):
            guard let poll = poll(), let count = numbers[1], count >= 0 else { return nil }
            return (.viewers(poll, count: Int(count)), node)
        case ("voted", 5):
            let keys = words[4].split(separator: ",", omittingEmptySubsequences: false)
            let voters = keys.compactMap { VoterKey(digits: $0) }
            guard let poll = poll(), (1...voterLimit).contains(keys.count),
                voters.count == keys.count
            else { return nil }
            return (.voted(poll, voters), node)
        case ("counted", 6):
            guard let poll = poll(), let position = numbers[1], words[5].hasSuffix("."),
                (0..<Int64(Choices.optionLimit)).contains(position),
                let voter = Hexadecimal.decode(words[5].dropLast())
            else { return nil }
            return (
                .counted(VoteNotice(pollID: poll, position: Int(position), voter: voter)), node
            )
        case ("tally", 8):
            guard let poll = poll(), let revision = numbers[1], let ballots = numbers[2],
                let at = numbers[3], ballots >= 0
            else { return nil }
            let counts = words[7].split(separator: ",").compactMap { Int64($0) }
            guard (1...Choices.optionLimit).contains(counts.count), counts.allSatisfy({ $0 >= 0 })
            else { return nil }
            let tally = Tally(
                pollID: poll, revision: revision, ballots: ballots, counts: counts, at: at)
            return (.tally(tally), node)
        default: return nil
        }
    }
}

extension VoterKey {
    fileprivate var digits: String {
        let (first, second) = (String(high, radix: 16), String(low, radix: 16))
        return String(repeating: "0", count: 4 - first.count) + first
            + String(repeating: "0", count: 16 - second.count) + second
    }

    fileprivate init?(digits: Substring) {
        guard digits.utf8.count == 20, digits.utf8.allSatisfy({ $0 != UInt8(ascii: "+") }),
            let high = UInt16(digits.prefix(4), radix: 16),
            let low = UInt64(digits.dropFirst(4), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }
}

/// Text as words can hold it.
enum Hexadecimal {
    static func encode(_ text: String) -> String {
        text.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// - Returns: nil where it is not UTF-8 in hexadecimal.
    static func decode(_ digits: Substring) -> String? {
        let digits = Array(digits.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            let pair = String(decoding: digits[index...index + 1], as: UTF8.self)
            guard pair.first != "+", let byte = UInt8(pair, radix: 16) else { return nil }
            bytes.append(byte)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

/// A gateway process, for as long as it runs: 64 random bits.
package struct NodeID: Sendable, Hashable, CustomStringConvertible {
    package let rawValue: UInt64

    package init() { self.init(rawValue: .random(in: .min ... .max)) }

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    init?(_ text: Substring) {
        guard text.utf8.count == 16, let value = UInt64(text, radix: 16) else { return nil }
        rawValue = value
    }

    package var description: String {
        let digits = String(rawValue, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// The channels of the gateways on one database. One Redis may serve several databases.
package struct RelayChannels {
    private let prefix: String

    package init(_ seal: RelaySeal) { prefix = "pollstream:\(seal.clusterName):" }

    /// Of polls that came, changed or went: everybody listens.
    package var polls: [UInt8] { Array("\(prefix)polls".utf8) }
    package func poll(_ id: PollID) -> [UInt8] { Array("\(prefix)poll:\(id.rawValue)".utf8) }
    package func node(_ id: NodeID) -> [UInt8] { Array("\(prefix)node:\(id)".utf8) }

    /// The poll whose channel this is.
    func pollID(of channel: [UInt8]) -> PollID? {
        let start = Array("\(prefix)poll:".utf8)
        guard channel.starts(with: start) else { return nil }
        return Int64(String(decoding: channel.dropFirst(start.count), as: UTF8.self))
            .flatMap { PollID($0) }
    }
}

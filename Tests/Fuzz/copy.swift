// Ballots as a binary COPY writes them. An input is read as ballots of any size; what the encoder makes of
// them is decoded again by the format's own lengths (PostgreSQL 15, COPY, "Binary Format"), and must be
// those ballots and nothing else.
@testable import Polls
@testable import Store

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzCopy(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = Bytes(Array(UnsafeBufferPointer(start: start, count: count)))
    var ballots: [Ballot] = []
    while !input.isAtEnd { ballots.append(ballot(from: &input)) }

    var encoder = CopyEncoder()
    encode(ballots, with: &encoder)
    let first = Array(encoder.bytes)
    // The buffer has grown by now, and is used again.
    encode(ballots, with: &encoder)
    require(first.elementsEqual(encoder.bytes), "another batch is written otherwise")
    check(first, against: ballots)
    return 0
}

private func encode(_ ballots: [Ballot], with encoder: inout CopyEncoder) {
    encoder.begin()
    for ballot in ballots { encoder.append(ballot) }
    encoder.end()
}

/// Says which law is broken, in an optimised build too.
private func require(_ holds: Bool, _ law: StaticString) {
    if !holds { fatalError("broken: \(law)") }
}

/// Where the input ends too early it goes on with zeros.
private func ballot(from input: inout Bytes) -> Ballot {
    let shape = UInt8(truncatingIfNeeded: input.integer(1))
    let name = input.take(Int(input.integer(1)))
    let key = BallotKey(
        high: UInt64(bitPattern: input.integer(8)), low: UInt64(bitPattern: input.integer(8)))
    return Ballot(
        key: key, pollID: PollID(1)!, id: input.integer(8),
        choices: Choices(mask: UInt64(bitPattern: input.integer(8))), edition: 0,
        allowsChange: shape & 1 == 1,
        // Now and then up to 48 KB of it, so that a batch outgrows the buffer.
        voter: String(
            repeating: String(decoding: name, as: UTF8.self), count: shape >> 1 == 0x7F ? 64 : 1),
        castAt: input.integer(8), ticket: nil)
}

private func check(_ bytes: [UInt8], against ballots: [Ballot]) {
    var rows = Bytes(bytes)
    require(
        rows.take(11) == Array("PGCOPY\n".utf8) + [0xFF] + Array("\r\n\0".utf8), "signature")
    require(rows.integer(4) == 0 && rows.integer(4) == 0, "flags, extension")
    for ballot in ballots {
        require(rows.integer(2) == 6, "columns")
        require(rows.integer(4) == 16, "length of the key")
        require(rows.integer(8) == Int64(bitPattern: ballot.key.high), "key")
        require(rows.integer(8) == Int64(bitPattern: ballot.key.low), "key")
        require(rows.field() == ballot.id, "ballot_id")
        require(rows.field() == Int64(bitPattern: ballot.choices.mask), "choices")
        require(rows.field() == (ballot.allowsChange ? 0 : nil), "previous")
        let voter = rows.take(Int(rows.integer(4)))
        // PostgreSQL has no U+0000 in a text, and refuses what is no UTF-8.
        require(voter == ballot.voter.utf8.filter { $0 != 0 }, "voter")
        require(String(validating: voter, as: UTF8.self) != nil, "voter is no UTF-8")
        require(rows.field() == ballot.castAt, "cast_at")
    }
    require(rows.integer(2) == -1 && rows.isAtEnd, "end")
}

private struct Bytes {
    private let bytes: [UInt8]
    private var offset = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { offset >= bytes.count }

    mutating func take(_ count: Int) -> [UInt8] {
        require(count >= 0, "a length")
        defer { offset += count }
        return Array(bytes.dropFirst(offset).prefix(count))
    }

    /// Signed, big endian; of one byte unsigned.
    mutating func integer(_ count: Int) -> Int64 {
        var value: UInt64 = 0
        let taken = take(count)
        for index in 0..<count {
            value = value << 8 | UInt64(index < taken.count ? taken[index] : 0)
        }
        let unused = UInt64(count == 1 ? 0 : 64 - 8 * count)
        return Int64(bitPattern: value << unused) >> Int64(unused)
    }

    mutating func field() -> Int64? {
        let length = integer(4)
        if length == -1 { return nil }
        require(length == 8, "length of a field")
        return integer(8)
    }
}

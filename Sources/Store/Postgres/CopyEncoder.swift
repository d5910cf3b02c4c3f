import Polls

/// Rows of `pollstream.ballots` as COPY's binary format has them (PostgreSQL 15, COPY, "Binary
/// Format"): a signature, rows of fields behind their lengths, all big endian, and an end mark.
///
/// One buffer, used again for every batch.
struct CopyEncoder: ~Copyable {
    static let columns = "key, ballot_id, choices, previous, voter, cast_at"

    private var buffer: UnsafeMutableRawBufferPointer
    private var count = 0

    init() { buffer = .allocate(byteCount: 64 << 10, alignment: 8) }

    deinit { buffer.deallocate() }

    /// Of all rows since `begin`.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer[..<count]) }

    mutating func begin() {
        count = 0
        for byte in "PGCOPY\n".utf8 { put(byte) }
        put(0xFF as UInt8)
        for byte in "\r\n\0".utf8 { put(byte) }
        put(0 as Int32)  // flags
        put(0 as Int32)  // length of the header's extension
    }

    /// A voter's first ballot. The voter's text without U+0000, which PostgreSQL does not store.
    mutating func append(_ ballot: Ballot) {
        var voter = ballot.voter
        if voter.utf8.contains(0) { voter = String(voter.filter { $0 != "\0" }) }
        voter.withUTF8 { voter in
            reserve(Self.longestRow + voter.count)
            put(6 as Int16)
            put(16 as Int32)
            put(ballot.key.high)
            put(ballot.key.low)
            putField(ballot.id)
            putField(Int64(bitPattern: ballot.choices.mask))
            if ballot.allowsChange { putField(0) } else { put(-1 as Int32) }
            put(Int32(voter.count))
            buffer[count..<count + voter.count].copyBytes(from: voter)
            count += voter.count
            putField(ballot.castAt)
        }
    }

    mutating func end() {
        reserve(2)
        put(-1 as Int16)
    }

    /// Without the voter.
    private static let longestRow = 2 + 20 + 12 + 12 + 12 + 4 + 12

    private mutating func reserve(_ byteCount: Int) {
        if count + byteCount <= buffer.count { return }
        let larger = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(buffer.count * 2, count + byteCount), alignment: 8)
        larger.copyMemory(from: bytes)
        buffer.deallocate()
        buffer = larger
    }

    private mutating func putField(_ value: Int64) {
        put(8 as Int32)
        put(value)
    }

    private mutating func put(_ value: some FixedWidthInteger) {
        buffer.storeBytes(of: value.bigEndian, toByteOffset: count, as: type(of: value))
        count += MemoryLayout.size(ofValue: value)
    }
}

import CLibpq
import Polls

/// What a statement answered, in the text format: every value checked as it is read.
final class PostgresRows {
    private let result: OpaquePointer?

    /// No rows.
    init() { result = nil }

    /// Clears `result` in the end.
    init(taking result: OpaquePointer) { self.result = result }

    deinit { PQclear(result) }

    var count: Int { Int(PQntuples(result)) }
    var columnCount: Int { Int(PQnfields(result)) }

    /// Rows that the statement inserted, changed or deleted.
    var changedCount: Int {
        guard let result, let text = PQcmdTuples(result) else { return 0 }
        return Int(String(cString: text)) ?? 0
    }

    func isNull(_ row: Int, _ column: Int) -> Bool {
        PQgetisnull(result, Int32(row), Int32(column)) == 1
    }

    /// UTF-8; empty for NULL. Lives as long as the rows.
    private func bytes(_ row: Int, _ column: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: PQgetvalue(result, Int32(row), Int32(column)),
            count: Int(PQgetlength(result, Int32(row), Int32(column))))
    }

    func text(_ row: Int, _ column: Int) -> String {
        String(decoding: bytes(row, column), as: UTF8.self)
    }

    func integer(_ row: Int, _ column: Int) throws(PostgresFailure) -> Int64 {
        guard let value = Int64(text(row, column)) else { throw .damaged("a number") }
        return value
    }

    func optionalInteger(_ row: Int, _ column: Int) throws(PostgresFailure) -> Int64? {
        isNull(row, column) ? nil : try integer(row, column)
    }

    func bool(_ row: Int, _ column: Int) -> Bool { bytes(row, column).first == UInt8(ascii: "t") }

    /// A bigint[] of one dimension; NULL elements are nil.
    func optionalIntegers(_ row: Int, _ column: Int) throws(PostgresFailure) -> [Int64?] {
        let text = bytes(row, column)
        guard text.count >= 2, text.first == UInt8(ascii: "{"), text.last == UInt8(ascii: "}")
        else { throw .damaged("an array") }
        var values: [Int64?] = []
        for element in text[1..<text.count - 1].split(
            separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        {
            let digits = String(decoding: UnsafeRawBufferPointer(rebasing: element), as: UTF8.self)
            if digits == "NULL" {
                values.append(nil)
            } else if let value = Int64(digits) {
                values.append(value)
            } else if !(digits.isEmpty && text.count == 2) {
                throw .damaged("an array")
            }
        }
        return values
    }

    func integers(_ row: Int, _ column: Int) throws(PostgresFailure) -> [Int64] {
        let values = try optionalIntegers(row, column)
        guard values.allSatisfy({ $0 != nil }) else { throw .damaged("an array") }
        return values.compactMap { $0 }
    }

    /// A bytea that the statement has put through `encode(…, 'hex')`: its own format is a setting.
    func blob(_ row: Int, _ column: Int) throws(PostgresFailure) -> [UInt8] {
        guard let blob = Self.hexadecimal(bytes(row, column)) else { throw .damaged("a key") }
        return blob
    }

    /// A uuid.
    func key(_ row: Int, _ column: Int) throws(PostgresFailure) -> BallotKey {
        let digits = bytes(row, column).filter { $0 != UInt8(ascii: "-") }
        guard let blob = Self.hexadecimal(digits[...]), blob.count == 16 else {
            throw .damaged("a ballot's key")
        }
        func half(_ bytes: ArraySlice<UInt8>) -> UInt64 {
            bytes.reduce(0) { $0 << 8 | UInt64($1) }
        }
        return BallotKey(high: half(blob[..<8]), low: half(blob[8...]))
    }

    func pollID(_ row: Int, _ column: Int) throws(PostgresFailure) -> PollID {
        guard let id = PollID(try integer(row, column)) else { throw .damaged("a poll's id") }
        return id
    }

    func choices(_ row: Int, _ column: Int) throws(PostgresFailure) -> Choices {
        Choices(mask: UInt64(bitPattern: try integer(row, column)))
    }

    private static func hexadecimal(_ digits: some RandomAccessCollection<UInt8>) -> [UInt8]? {
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        var high: UInt8?
        for digit in digits {
            guard let value = Character(UnicodeScalar(digit)).hexDigitValue else { return nil }
            if let first = high {
                bytes.append(first << 4 | UInt8(value))
                high = nil
            } else {
                high = UInt8(value)
            }
        }
        return bytes
    }
}

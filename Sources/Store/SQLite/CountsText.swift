/// Counts as they stand in the `tallies` table: a JSON array such as `[11,4]`, which a person with
/// the sqlite3 shell can read and `json_each` can take apart. Two to twenty numbers cost less to
/// spell than their row costs to write.
enum CountsText {
    static func encode(_ counts: [Int64]) -> String {
        var text = "["
        for (position, count) in counts.enumerated() {
            if position > 0 { text += "," }
            text += String(count)
        }
        return text + "]"
    }

    /// - Returns: nil for anything that `encode` does not make.
    static func decode(_ text: some Sequence<UInt8>) -> [Int64]? {
        var counts: [Int64] = []
        var number: Int64?
        var isInside = false
        var isDone = false
        for byte in text {
            guard !isDone else { return nil }
            switch byte {
            case UInt8(ascii: "["):
                guard !isInside else { return nil }
                isInside = true
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                guard isInside else { return nil }
                let (tens, isTooLarge) = (number ?? 0).multipliedReportingOverflow(by: 10)
                let (sum, isOver) = tens.addingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
                guard !isTooLarge, !isOver else { return nil }
                number = sum
            case UInt8(ascii: ","):
                guard let count = number else { return nil }
                counts.append(count)
                number = nil
            case UInt8(ascii: "]"):
                guard isInside, number != nil || counts.isEmpty else { return nil }
                if let count = number { counts.append(count) }
                isDone = true
            default: return nil
            }
        }
        return isDone ? counts : nil
    }
}

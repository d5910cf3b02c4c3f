/// Times on the wire: RFC 3339 outside, milliseconds since 1970-01-01T00:00:00Z inside.
///
/// Proleptic Gregorian calendar, years 0001 to 9999, no leap seconds.
package enum Timestamp {
    /// 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999Z: what has a form of four digits.
    package static let range: ClosedRange<Int64> = -62_135_596_800_000...253_402_300_799_999

    /// `2026-11-23T06:33:57Z`, with milliseconds only where they are not zero.
    /// A time outside of ``range`` is the caller's mistake.
    package static func string(unixMilliseconds: Int64) -> String {
        String(unsafeUninitializedCapacity: bytesMax) {
            guard let out = $0.baseAddress else { return 0 }
            return write(unixMilliseconds: unixMilliseconds, to: out)
        }
    }

    static let bytesMax = 24

    /// Writes at most `bytesMax` bytes and returns how many.
    static func write(unixMilliseconds: Int64, to out: UnsafeMutablePointer<UInt8>) -> Int {
        precondition(range.contains(unixMilliseconds), "a time without a year of four digits")
        let (day, millisecondOfDay) = unixMilliseconds.flooredDivision(by: millisecondsPerDay)
        let date = CivilDate(daysSince1970: day)
        let (second, millisecond) = millisecondOfDay.flooredDivision(by: 1000)
        writeDigits(date.year, 4, then: "-", to: out)
        writeDigits(date.month, 2, then: "-", to: out + 5)
        writeDigits(date.day, 2, then: "T", to: out + 8)
        writeDigits(second / 3600, 2, then: ":", to: out + 11)
        writeDigits(second / 60 % 60, 2, then: ":", to: out + 14)
        guard millisecond != 0 else {
            writeDigits(second % 60, 2, then: "Z", to: out + 17)
            return 20
        }
        writeDigits(second % 60, 2, then: ".", to: out + 17)
        writeDigits(millisecond, 3, then: "Z", to: out + 20)
        return 24
    }

    /// Reads a date-time of RFC 3339 §5.6 with any offset; nil for anything else, for a day that is
    /// not in the calendar, for second 60, and for a time outside of ``range``. Digits after the
    /// third of a fraction are cut off.
    package static func parse(_ text: String) -> Int64? {
        var text = text
        return text.withUTF8 { parse(utf8: $0) }
    }

    private static func parse(utf8: UnsafeBufferPointer<UInt8>) -> Int64? {
        var reader = DigitReader(utf8)
        guard let year = reader.digits(4), year >= 1, reader.take("-"),
            let month = reader.digits(2), reader.take("-"),
            let day = reader.digits(2), reader.take("T", or: "t"),
            let hour = reader.digits(2), hour < 24, reader.take(":"),
            let minute = reader.digits(2), minute < 60, reader.take(":"),
            let second = reader.digits(2), second < 60,
            let date = CivilDate(year: year, month: month, day: day),
            let millisecond = reader.fraction(),
            let offsetMinutes = reader.offset(), reader.isAtEnd
        else { return nil }
        let minutes = (date.daysSince1970 * 24 + hour) * 60 + minute - offsetMinutes
        let instant = (minutes * 60 + second) * 1000 + millisecond
        return range.contains(instant) ? instant : nil
    }

    private static let millisecondsPerDay: Int64 = 86_400_000

    private static func writeDigits(
        _ number: Int64, _ count: Int, then separator: Unicode.Scalar,
        to out: UnsafeMutablePointer<UInt8>
    ) {
        var rest = number
        for index in (0..<count).reversed() {
            out[index] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
        out[count] = UInt8(ascii: separator)
    }
}

/// A day of the calendar. The year begins in March inside the arithmetic, so that the leap day is
/// its last; an era is the 400 years after which the calendar repeats.
private struct CivilDate {
    let year: Int64
    let month: Int64
    let day: Int64

    private static let daysPerEra: Int64 = 146_097
    private static let daysFromYear0ToEpoch: Int64 = 719_468  // 0000-03-01 to 1970-01-01

    init?(year: Int64, month: Int64, day: Int64) {
        guard (1...12).contains(month), day >= 1, day <= Self.days(in: month, of: year) else {
            return nil
        }
        (self.year, self.month, self.day) = (year, month, day)
    }

    init(daysSince1970: Int64) {
        let (era, dayOfEra) = (daysSince1970 + Self.daysFromYear0ToEpoch)
            .flooredDivision(by: Self.daysPerEra)
        let leapDays = dayOfEra / 1460 - dayOfEra / 36_524 + dayOfEra / 146_096
        let yearOfEra = (dayOfEra - leapDays) / 365
        let dayOfYear = dayOfEra - Self.daysBefore(yearOfEra: yearOfEra)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - Self.daysBefore(monthFromMarch: monthFromMarch) + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    var daysSince1970: Int64 {
        let (era, yearOfEra) = (month <= 2 ? year - 1 : year).flooredDivision(by: 400)
        let monthFromMarch = month > 2 ? month - 3 : month + 9
        return era * Self.daysPerEra + Self.daysBefore(yearOfEra: yearOfEra)
            + Self.daysBefore(monthFromMarch: monthFromMarch) + day - 1
            - Self.daysFromYear0ToEpoch
    }

    private static func daysBefore(yearOfEra: Int64) -> Int64 {
        yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100
    }

    /// Five months from March on have 153 days, again and again.
    private static func daysBefore(monthFromMarch: Int64) -> Int64 {
        (153 * monthFromMarch + 2) / 5
    }

    private static func days(in month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2:
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            return isLeap ? 29 : 28
        case 4, 6, 9, 11: return 30
        default: return 31
        }
    }
}

/// Reads the fixed parts of a date-time from left to right.
private struct DigitReader {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { position == bytes.count }

    mutating func take(_ character: Unicode.Scalar, or other: Unicode.Scalar? = nil) -> Bool {
        guard position < bytes.count else { return false }
        let next = Unicode.Scalar(bytes[position])
        guard next == character || next == other else { return false }
        position += 1
        return true
    }

    mutating func digit() -> Int64? {
        guard position < bytes.count,
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position])
        else { return nil }
        position += 1
        return Int64(bytes[position - 1] - UInt8(ascii: "0"))
    }

    mutating func digits(_ count: Int) -> Int64? {
        var number: Int64 = 0
        for _ in 0..<count {
            guard let digit = digit() else { return nil }
            number = number * 10 + digit
        }
        return number
    }

    /// Milliseconds; 0 where there is no fraction, nil for a point without a digit.
    mutating func fraction() -> Int64? {
        guard take(".") else { return 0 }
        guard let first = digit() else { return nil }
        var milliseconds = first * 100
        var weight: Int64 = 10
        while let digit = digit() {
            milliseconds += digit * weight
            weight /= 10
        }
        return milliseconds
    }

    /// Minutes to the east; `-00:00`, an unknown offset, is read as UTC.
    mutating func offset() -> Int64? {
        if take("Z", or: "z") { return 0 }
        let sign: Int64
        if take("+") {
            sign = 1
        } else if take("-") {
            sign = -1
        } else {
            return nil
        }
        guard let hours = digits(2), hours < 24, take(":"), let minutes = digits(2), minutes < 60
        else { return nil }
        return sign * (hours * 60 + minutes)
    }
}

extension Int64 {
    /// Quotient and remainder, the remainder never below zero.
    fileprivate func flooredDivision(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

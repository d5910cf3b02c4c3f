import Foundation
import TestRandom
import Testing

@testable import JSON

@Suite struct TimestampsTests {
    static let pairs: [(String, Int64)] = [
        ("1970-01-01T00:00:00Z", 0), ("1970-01-01T00:00:00.001Z", 1),
        ("1969-12-31T23:59:59.999Z", -1), ("1969-12-31T23:59:59Z", -1000),
        ("2026-11-23T06:33:57Z", 1_795_415_637_000), ("2000-02-29T12:00:00Z", 951_825_600_000),
        ("2038-01-19T03:14:08Z", 2_147_483_648_000), ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ("1600-02-29T00:00:00Z", -11_670_998_400_000),
        ("1900-03-01T00:00:00.120Z", -2_203_891_199_880),
    ]

    @Test(arguments: pairs)
    func `times are written and read`(text: String, unixMilliseconds: Int64) {
        #expect(Timestamp.string(unixMilliseconds: unixMilliseconds) == text)
        #expect(Timestamp.parse(text) == unixMilliseconds)
    }

    static let readable: [(String, String)] = [
        ("2026-11-23t06:33:57z", "2026-11-23T06:33:57Z"),
        ("2026-11-23T06:33:57.0Z", "2026-11-23T06:33:57Z"),
        ("2026-11-23T06:33:57.1Z", "2026-11-23T06:33:57.100Z"),
        ("2026-11-23T06:33:57.12Z", "2026-11-23T06:33:57.120Z"),
        ("2026-11-23T06:33:57.1239999999999999999999999Z", "2026-11-23T06:33:57.123Z"),
        ("2026-11-23T06:33:57+00:00", "2026-11-23T06:33:57Z"),
        ("2026-11-23T06:33:57-00:00", "2026-11-23T06:33:57Z"),
        ("2026-11-23T08:03:57+01:30", "2026-11-23T06:33:57Z"),
        ("2026-11-22T22:33:57-08:00", "2026-11-23T06:33:57Z"),
        ("2027-01-01T00:00:00+23:59", "2026-12-31T00:01:00Z"),
        ("2024-02-29T23:59:59-00:01", "2024-03-01T00:00:59Z"),
        ("0001-01-01T00:00:00-01:00", "0001-01-01T01:00:00Z"),
    ]

    @Test(arguments: readable)
    func `any offset and fraction is read`(text: String, utc: String) {
        #expect(Timestamp.parse(text).map(Timestamp.string) == utc)
    }

    @Test(arguments: [
        "", "2026-11-23", "2026-11-23T06:33Z", "2026-11-23T06:33:57", "2026-11-23 06:33:57Z",
        "2026-11-23T06:33:57z ", " 2026-11-23T06:33:57Z", "2026-11-23T06:33:57ZZ",
        "26-11-23T06:33:57Z", "02026-11-23T06:33:57Z", "+2026-11-23T06:33:57Z",
        "-2026-11-23T06:33:57Z", "2026-1-23T06:33:57Z", "2026-11-3T06:33:57Z",
        "2026-11-23T6:33:57Z", "2026-00-23T06:33:57Z", "2026-13-23T06:33:57Z",
        "2026-11-00T06:33:57Z", "2026-11-31T06:33:57Z", "2026-02-29T06:33:57Z",
        "1900-02-29T06:33:57Z", "2026-04-31T06:33:57Z", "2026-01-32T06:33:57Z",
        "2026-11-23T24:00:00Z", "2026-11-23T06:60:57Z", "2026-11-23T06:33:60Z",
        "2016-12-31T23:59:60Z", "2026-11-23T06:33:57.Z", "2026-11-23T06:33:57,5Z",
        "2026-11-23T06:33:57.5", "2026-11-23T06:33:57+1:00", "2026-11-23T06:33:57+0100",
        "2026-11-23T06:33:57+01", "2026-11-23T06:33:57+24:00", "2026-11-23T06:33:57+01:60",
        "2026-11-23T06:33:57+01:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01", "2026/11/23T06:33:57Z", "２026-11-23T06:33:57Z",
        "1795415637", "now",
    ])
    func `anything else is no time`(text: String) {
        #expect(Timestamp.parse(text) == nil)
    }

    @Test func `every day of 800 years follows the one before`() throws {
        var expected = try #require(Timestamp.parse("1599-12-31T00:00:00Z"))
        for year in 1600...2400 {
            let isLeap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0)
            let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            for (month, count) in days.enumerated() {
                for day in 1...count {
                    expected += 86_400_000
                    let two = { (number: Int) in number < 10 ? "0\(number)" : "\(number)" }
                    let text = "\(year)-\(two(month + 1))-\(two(day))T00:00:00Z"
                    if Timestamp.parse(text) != expected
                        || Timestamp.string(unixMilliseconds: expected) != text
                    {
                        Issue.record("\(text)")
                    }
                }
            }
        }
    }

    @Test func `what is written is read again, and as Foundation reads it`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed of timestamps: \(seed)")
        var random = SeededGenerator(seed: seed)
        let foundation = ISO8601DateFormatter()
        for _ in 0..<3000 {
            let time = Int64.random(in: Timestamp.range, using: &random)
            #expect(Timestamp.parse(Timestamp.string(unixMilliseconds: time)) == time)
            // Foundation changes to the Julian calendar before 1582.
            let seconds = Int64.random(in: -12_000_000_000...253_402_300_799, using: &random)
            let text = Timestamp.string(unixMilliseconds: seconds * 1000)
            let date = try #require(foundation.date(from: text), "\(text), seed \(seed)")
            #expect(date.timeIntervalSince1970 == Double(seconds), "\(text), seed \(seed)")
        }
    }
}

import Addresses
import Events
import Gateway
import Reactor
import Relay

// How values are written on the command line and in the environment. Each reader throws what to
// write instead.

/// Why a value is not taken.
struct BadValue: Error, Equatable, CustomStringConvertible {
    let reason: String
    var description: String { reason }

    init(_ reason: String) { self.reason = reason }
}

enum Value {
    /// `250ms`, `30s`, `5min`, `2h`; at least `minimum`. - Returns: milliseconds.
    static func milliseconds(_ text: String, minimum: Int = 1) throws(BadValue) -> Int {
        let units: [(suffix: String, milliseconds: Int)] = [
            ("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000),
        ]
        let digits = text.prefix(while: \.isASCIIDigit)
        let unit = text.dropFirst(digits.count)
        if text == "0", minimum == 0 { return 0 }
        guard let number = Int(digits), let match = units.first(where: { $0.suffix == unit }) else {
            throw BadValue("is not a duration; write it like 250ms, 30s, 5min or 2h")
        }
        let (product, overflow) = number.multipliedReportingOverflow(by: match.milliseconds)
        // A week: far above anything sensible, far below what 32 bits of milliseconds hold.
        guard !overflow, (minimum...604_800_000).contains(product) else {
            throw BadValue("is out of range; give \(minimum)ms to 168h")
        }
        return product
    }

    /// As `milliseconds`, also in days, up to ten years.
    static func longMilliseconds(_ text: String) throws(BadValue) -> Int {
        guard text.hasSuffix("d") else {
            guard let short = try? milliseconds(text) else {
                throw BadValue("is not a duration; write it like 12h or 30d, up to 3650d")
            }
            return short
        }
        guard let days = Int(text.dropLast()), (1...3_650).contains(days) else {
            throw BadValue("is out of range; give 1d to 3650d")
        }
        return days * 86_400_000
    }

    /// A file for SQLite, or what libpq takes: a URI, or keywords and values.
    static func database(_ text: String) throws(BadValue) -> Configuration.Database {
        if text.hasPrefix("sqlite:"), text.count > 7 {
            return .sqlite(path: String(text.dropFirst(7)))
        }
        let isURI = text.hasPrefix("postgres://") || text.hasPrefix("postgresql://")
        if isURI || (text.contains("=") && !text.contains("://")) {
            return .postgres(conninfo: text)
        }
        throw BadValue(
            "is not a database; write it like sqlite:pollstream.db or "
                + "postgres://USER@HOST/DATABASE")
    }

    /// Names between commas; at least one.
    static func services(_ text: String) throws(BadValue) -> [Service] {
        var named: [Service] = []
        for name in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let service = Service(rawValue: String(name)) else {
                let all = Service.allCases.map(\.rawValue).joined(separator: ",")
                throw BadValue("has \"\(name)\"; write it like \(all), or some of them")
            }
            named.append(service)
        }
        return Service.allCases.filter(named.contains)
    }

    static func redis(_ url: String) throws(BadValue) -> RelaySettings {
        do throws(BadURL) {
            return RelaySettings(target: try RedisTarget(url: url))
        } catch {
            throw BadValue(error.reason)
        }
    }

    static func events(_ url: String) throws(BadValue) -> EventSettings {
        do throws(BadURL) {
            return EventSettings(target: try AMQPTarget(url: url))
        } catch {
            throw BadValue(error.reason)
        }
    }

    /// `65536`, `64KiB`, `16MiB`. - Returns: bytes.
    static func bytes(_ text: String, in range: ClosedRange<Int>) throws(BadValue) -> Int {
        let units: [(suffix: String, bytes: Int)] = [("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20)]
        let digits = text.prefix(while: \.isASCIIDigit)
        let unit = text.dropFirst(digits.count)
        guard let number = Int(digits), let match = units.first(where: { $0.suffix == unit }) else {
            throw BadValue("is not a size; write it like 65536, 64KiB or 1MiB")
        }
        let (product, overflow) = number.multipliedReportingOverflow(by: match.bytes)
        guard !overflow, range.contains(product) else {
            let ends = (written(bytes: range.lowerBound), written(bytes: range.upperBound))
            throw BadValue("is out of range; give \(ends.0) to \(ends.1)")
        }
        return product
    }

    /// As `bytes` reads it: `64KiB`.
    static func written(bytes: Int) -> String {
        for (suffix, size) in [("MiB", 1 << 20), ("KiB", 1 << 10)]
        where bytes > 0 && bytes.isMultiple(of: size) {
            return "\(bytes / size)\(suffix)"
        }
        return "\(bytes)"
    }

    static func integer(_ text: String, in range: ClosedRange<Int>) throws(BadValue) -> Int {
        guard !text.isEmpty, text.allSatisfy(\.isASCIIDigit), let number = Int(text),
            range.contains(number)
        else {
            throw BadValue("is not a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    static func choice<T: CaseIterable & RawRepresentable>(_ text: String) throws(BadValue) -> T
    where T.RawValue == String {
        guard let value = T(rawValue: text) else {
            let choices = T.allCases.map(\.rawValue).joined(separator: ", ")
            throw BadValue("is not a choice; give one of: \(choices)")
        }
        return value
    }

    /// `127.0.0.1:8080` or `[::1]:8080`; port 0 picks a free one.
    static func address(_ text: String) throws(BadValue) -> ListenAddress {
        let problem = BadValue("is not an address; write it like 127.0.0.1:8080 or [::1]:8080")
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...]),
            text[text.index(after: colon)...].allSatisfy(\.isASCIIDigit)
        else { throw problem }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw problem
        }
        let numeric = host == "localhost" ? "127.0.0.1" : String(host)
        // No name is looked up: it could stand for several, or for none once the network is away.
        guard PeerAddress(numeric) != nil else { throw problem }
        return ListenAddress(host: numeric, port: port)
    }

    /// `scheme://host[:port]`, without a path. - Returns: in lower case.
    static func origin(_ text: String) throws(BadValue) -> String {
        let lowered = text.lowercased()
        let rest =
            lowered.hasPrefix("https://")
            ? lowered.dropFirst(8) : lowered.hasPrefix("http://") ? lowered.dropFirst(7) : ""
        guard !rest.isEmpty, rest.allSatisfy({ $0.isASCII && !"/?#@ ".contains($0) }) else {
            throw BadValue("is not an origin; write it like https://polls.example.org")
        }
        return lowered
    }
}

struct ListenAddress: Equatable, CustomStringConvertible {
    var host: String
    var port: UInt16

    var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { isASCII && isWholeNumber }
}

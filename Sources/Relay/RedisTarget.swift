/// Which Redis, and as whom: `redis://[user[:password]@]host[:port][/database]`, or
/// `unix://[user[:password]@]/path[?db=N]`.
package struct RedisTarget: Sendable, Equatable, CustomStringConvertible {
    package enum Address: Sendable, Equatable {
        case host(String, port: Int32)
        case path(String)
    }

    package var address: Address
    package var user: String?
    package var password: String?
    /// Pub/sub knows no databases; whoever may not use this one is told so at the start.
    package var database = 0

    /// Why a URL names no Redis; never repeats it, since it may hold a password.
    package struct BadURL: Error, Equatable {
        package let reason: String
    }

    /// Without secrets.
    package var description: String {
        switch address {
        case .host(let host, let port):
            host.contains(":") ? "redis://[\(host)]:\(port)" : "redis://\(host):\(port)"
        case .path(let path): "unix://\(path)"
        }
    }

    package init(url: String) throws(BadURL) {
        guard let colon = url.firstRange(of: "://") else {
            throw BadURL("must look like redis://host:6379 or unix:///path")
        }
        var rest = url[colon.upperBound...]
        switch url[..<colon.lowerBound] {
        case "redis", "unix": break
        case "rediss":
            throw BadURL("wants TLS, which Debian's hiredis lacks; put a TLS tunnel in front")
        default: throw BadURL("must begin with redis:// or unix://")
        }
        let isPath = url.hasPrefix("unix")
        if let at = isPath ? rest.firstRange(of: "@/")?.lowerBound : rest.lastIndex(of: "@") {
            let parts = rest[..<at].split(
                separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            user = try parts[0].isEmpty ? nil : Self.decode(parts[0])
            password = try parts.count > 1 ? Self.decode(parts[1]) : nil
            guard user == nil || password != nil else { throw BadURL("names a user, no password") }
            rest = rest[rest.index(after: at)...]
        }
        if isPath {
            let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts[0].hasPrefix("/"), parts[0].utf8.count < 108 else {
                throw BadURL("must name a socket by its whole path, of up to 107 bytes")
            }
            address = .path(String(parts[0]))
            if parts.count > 1 {
                guard parts[1].hasPrefix("db=") else { throw BadURL("takes no query but ?db=N") }
                database = try Self.number(parts[1].dropFirst(3), in: 0...65_535, "database")
            }
            return
        }
        let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        address = try Self.address(parts[0])
        if parts.count > 1, !parts[1].isEmpty {
            database = try Self.number(parts[1], in: 0...65_535, "database")
        }
    }

    private static func address(_ text: Substring) throws(BadURL) -> Address {
        var host = text
        var port: Substring?
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { throw BadURL("has no ] after its [") }
            host = text[text.index(after: text.startIndex)..<end]
            let after = text[text.index(after: end)...]
            guard after.isEmpty || after.hasPrefix(":") else { throw BadURL("has no port after ]") }
            port = after.isEmpty ? nil : after.dropFirst()
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw BadURL("names no host")
        }
        guard let port else { return .host(String(host), port: 6_379) }
        return .host(String(host), port: Int32(try number(port, in: 1...65_535, "port")))
    }

    private static func number(_ text: Substring, in range: ClosedRange<Int>, _ what: String)
        throws(BadURL) -> Int
    {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(text), range.contains(number)
        else { throw BadURL("has a bad \(what)") }
        return number
    }

    /// Percent-decoded (RFC 3986 §2.1).
    private static func decode(_ text: Substring) throws(BadURL) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let decoded = UInt8(String(rest.prefix(2)) ?? "", radix: 16)
            else { throw BadURL("has a % that is not followed by two hexadecimal digits") }
            bytes.append(decoded)
            rest = rest.dropFirst(2)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension RedisTarget.BadURL {
    init(_ reason: String) { self.init(reason: reason) }
}

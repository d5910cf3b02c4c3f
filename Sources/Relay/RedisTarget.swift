package import Addresses

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

    /// Without secrets.
    package var description: String {
        switch address {
        case .host(let host, let port):
            host.contains(":") ? "redis://[\(host)]:\(port)" : "redis://\(host):\(port)"
        case .path(let path): "unix://\(path)"
        }
    }

    /// - Parameter url: `redis://…` or `unix://…`.
    /// - Throws: what is wrong, without the password.
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
            user = try parts[0].isEmpty ? nil : URLPieces.decode(parts[0])
            password = try parts.count > 1 ? URLPieces.decode(parts[1]) : nil
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
                database = try URLPieces.number(parts[1].dropFirst(3), in: 0...65_535, "database")
            }
            return
        }
        let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        address = try Self.host(parts[0])
        if parts.count > 1, !parts[1].isEmpty {
            database = try URLPieces.number(parts[1], in: 0...65_535, "database")
        }
    }

    private static func host(_ text: Substring) throws(BadURL) -> Address {
        let (host, port) = try URLPieces.address(text, standardPort: 6_379)
        return .host(host, port: port)
    }
}

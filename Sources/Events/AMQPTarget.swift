package import Addresses

/// Which broker, and as whom: `amqp://[user[:password]@]host[:port][/vhost]`, or `amqps://…` with
/// `?cacertfile=PATH` where its certificate is not signed by an authority that this machine trusts.
package struct AMQPTarget: Sendable, Equatable, CustomStringConvertible {
    package var host: String
    package var port: Int32
    package var user = "guest"
    package var password = "guest"
    package var vhost = "/"
    /// A file of certificates; nil: without TLS.
    package var authorities: String?

    /// Debian's.
    static let standardAuthorities = "/etc/ssl/certs/ca-certificates.crt"

    /// Without secrets.
    package var description: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return "\(authorities == nil ? "amqp" : "amqps")://\(name):\(port)"
    }

    /// - Parameter url: `amqp://…` or `amqps://…`.
    /// - Throws: what is wrong, without the password.
    package init(url: String) throws(BadURL) {
        var rest: Substring
        if url.hasPrefix("amqp://") {
            rest = url.dropFirst(7)
        } else if url.hasPrefix("amqps://") {
            rest = url.dropFirst(8)
            authorities = Self.standardAuthorities
        } else {
            throw BadURL("must look like amqp://user:password@host:5672/vhost")
        }
        if let query = rest.lastIndex(of: "?") {
            let pair = rest[rest.index(after: query)...]
            guard authorities != nil, pair.hasPrefix("cacertfile=/") else {
                throw BadURL("takes no query but ?cacertfile=/PATH after amqps://")
            }
            authorities = try URLPieces.decode(pair.dropFirst(11))
            rest = rest[..<query]
        }
        if let at = rest.lastIndex(of: "@") {
            let parts = rest[..<at].split(
                separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { throw BadURL("names a user, no password") }
            user = try URLPieces.decode(parts[0])
            password = try URLPieces.decode(parts[1])
            rest = rest[rest.index(after: at)...]
        }
        let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count > 1, !parts[1].isEmpty {
            guard !parts[1].contains("/") else {
                throw BadURL("has a / in its vhost; write it as %2F")
            }
            vhost = try URLPieces.decode(parts[1])
            // What fits AMQP's short strings.
            guard vhost.utf8.count <= 255 else { throw BadURL("has a vhost above 255 bytes") }
        }
        (host, port) = try URLPieces.address(
            parts[0], standardPort: authorities == nil ? 5_672 : 5_671)
    }
}

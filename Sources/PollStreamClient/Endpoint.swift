/// Where a gateway is.
struct Endpoint: Sendable, Equatable {
    let host: String
    let port: UInt16

    /// - Parameter url: `http://HOST[:PORT]`, with a last slash or without; IPv6 in brackets.
    init(_ url: String) throws(ClientError) {
        let scheme = "http://"
        guard url.hasPrefix(scheme) else { throw .badURL(url) }
        var authority = url.dropFirst(scheme.count)
        if authority.hasSuffix("/") { authority = authority.dropLast() }
        let colon: Substring.Index?
        if authority.hasPrefix("[") {
            guard let bracket = authority.lastIndex(of: "]") else { throw .badURL(url) }
            host = String(authority[authority.index(after: authority.startIndex)..<bracket])
            let rest = authority[authority.index(after: bracket)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { throw .badURL(url) }
            colon = rest.isEmpty ? nil : rest.startIndex
        } else {
            colon = authority.firstIndex(of: ":")
            host = String(authority[..<(colon ?? authority.endIndex)])
        }
        guard !host.isEmpty, !host.contains("/"), !host.contains("@") else { throw .badURL(url) }
        guard let colon else {
            port = 80
            return
        }
        guard let port = UInt16(authority[authority.index(after: colon)...]), port > 0 else {
            throw .badURL(url)
        }
        self.port = port
    }

    /// As the Host field says it.
    var authority: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }
}

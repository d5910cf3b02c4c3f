/// Which pages may ask: the browser's Origin field against the list of allowed origins (Fetch,
/// "CORS protocol").
struct Origins {
    /// Exact; nil where no list was given.
    let allowed: [String]?
    /// Where this gateway is reached, if it was told.
    let publicURL: String?
    /// TLS ends here: nobody comes to us from `http://`.
    let endsTLS: Bool

    /// What an answer over HTTP tells the browser.
    enum Permission: Equatable {
        case none
        /// Any page, without credentials.
        case anyPage
        /// This page, with credentials.
        case page(String)
    }

    /// - Parameters:
    ///   - origin: the field's value; nil without one.
    ///   - count: how often the field occurs; a browser sends one.
    func permission(for origin: UnsafeRawBufferPointer?, count: Int) -> Permission {
        guard let allowed else { return .anyPage }
        guard let origin, count == 1, let page = allowed.first(where: origin.isEqual(to:)) else {
            return .none
        }
        return .page(page)
    }

    /// Whether a page may do more than read. Browsers let any page open a WebSocket and send cookies
    /// along, so this is the only guard against a foreign one (RFC 6455 §10.2). Our own pages may,
    /// list or not. Without an Origin it is no browser.
    func allows(
        from origin: UnsafeRawBufferPointer?, count: Int, host: UnsafeRawBufferPointer
    ) -> Bool {
        guard let origin else { return true }
        guard count == 1 else { return false }
        if let publicURL, origin.isEqual(to: Origins.origin(of: publicURL)) { return true }
        if let allowed, allowed.contains(where: origin.isEqual(to:)) { return true }
        return isSame(origin, as: host)
    }

    /// Whether `origin` is the host that was asked. Where TLS does not end here, of either scheme: it
    /// may end in front of us.
    private func isSame(_ origin: UnsafeRawBufferPointer, as host: UnsafeRawBufferPointer) -> Bool {
        let authority: UnsafeRawBufferPointer
        if origin.hasPrefix("http://"), !endsTLS {
            authority = origin.removing(prefixCount: 7)
        } else if origin.hasPrefix("https://") {
            authority = origin.removing(prefixCount: 8)
        } else {
            return false
        }
        return !authority.isEmpty && authority.count == host.count
            && zip(authority, host).allSatisfy { $0.asciiLowercased == $1.asciiLowercased }
    }

    /// Scheme and authority of a URL.
    static func origin(of url: String) -> String {
        guard let scheme = url.utf8.firstIndex(of: UInt8(ascii: ":")) else { return url }
        let authority = url[scheme...].dropFirst(3)
        let path = authority.firstIndex(of: "/") ?? authority.endIndex
        return String(url[..<path])
    }
}

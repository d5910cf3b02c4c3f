/// Which pages may ask: the browser's Origin field against the list of allowed origins (Fetch,
/// "CORS protocol").
struct Origins {
    /// Exact; nil where no list was given.
    let allowed: [String]?
    /// Where this gateway is reached, if it was told.
    let publicURL: String?
    /// TLS ends here: nobody comes to us from `http://`.
    let endsTLS: Bool

    /// Whether voters come over TLS, as far as is known: it ends here, or the public URL says so.
    var isSecure: Bool { endsTLS || publicURL?.hasPrefix("https://") ?? false }

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

    /// Whether `origin` is the host that was asked. Where TLS does not end here, of either scheme, since
    /// it may end in front of us; but of the public URL's alone where that host is its.
    private func isSame(_ origin: UnsafeRawBufferPointer, as host: UnsafeRawBufferPointer) -> Bool {
        if origin.hasPrefix("http://") {
            return !host.isEmpty && !endsTLS && !isPublicAndSecure(host)
                && origin.removing(prefixCount: 7).isEqualIgnoringCase(to: host)
        }
        return origin.hasPrefix("https://") && !host.isEmpty
            && origin.removing(prefixCount: 8).isEqualIgnoringCase(to: host)
    }

    private func isPublicAndSecure(_ host: UnsafeRawBufferPointer) -> Bool {
        guard let publicURL, publicURL.hasPrefix("https://") else { return false }
        var origin = Origins.origin(of: publicURL)
        return origin.withUTF8 {
            UnsafeRawBufferPointer($0).removing(prefixCount: 8).isEqualIgnoringCase(to: host)
        }
    }

    /// Scheme and authority of a URL.
    static func origin(of url: String) -> String {
        guard let scheme = url.utf8.firstIndex(of: UInt8(ascii: ":")) else { return url }
        let authority = url[scheme...].dropFirst(3)
        let path = authority.firstIndex(of: "/") ?? authority.endIndex
        return String(url[..<path])
    }
}

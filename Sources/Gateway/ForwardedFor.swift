import Reactor

/// `X-Forwarded-For`, as proxies write it that end HTTP: each appends whom it got the request from.
/// What stands left of the first address that is not a trusted proxy's may be made up.
extension Gateway {
    private static let hopLimit = 32

    /// Whom a request comes from: its peer, unless that is a trusted proxy which names another.
    func client(of request: borrowing Request) -> PeerAddress {
        let peer = request.peer
        guard !settings.trustedProxies.isEmpty, isTrusted(peer) else { return peer }
        var hopCount = 0
        var skipped = 0
        while let value = request.lastField("x-forwarded-for", skipping: skipped) {
            skipped += 1
            var rest = value[...]
            while !rest.isEmpty {
                let start = rest.lastIndex(of: UInt8(ascii: ",")).map { $0 + 1 } ?? rest.startIndex
                let text = String(decoding: rest[start...], as: UTF8.self).trimmingBlanks
                rest = rest[..<start].dropLast()
                if text.isEmpty { continue }  // RFC 9110 §5.6.1.2
                hopCount += 1
                // What cannot be read, or has no end, names nobody.
                guard hopCount <= Self.hopLimit, let hop = PeerAddress(forwarded: text) else {
                    return peer
                }
                if !isTrusted(hop) { return hop }
            }
        }
        return peer
    }

    private func isTrusted(_ address: PeerAddress) -> Bool {
        settings.trustedProxies.contains { $0.contains(address) }
    }
}

extension PeerAddress {
    /// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`.
    init?(forwarded text: Substring) {
        var text = text
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            let port = text[text.index(after: end)...]
            guard port.isEmpty || Self.isPort(port) else { return nil }
            text = text[text.index(after: text.startIndex)..<end]
            guard text.contains(":") else { return nil }
        } else if let colon = text.firstIndex(of: ":"), text.lastIndex(of: ":") == colon {
            guard Self.isPort(text[colon...]) else { return nil }
            text = text[..<colon]
        }
        self.init(String(text))
    }

    private static func isPort(_ text: Substring) -> Bool {
        text.first == ":" && text.dropFirst().utf8.allSatisfy { (0x30...0x39).contains($0) }
            && UInt16(text.dropFirst()) != nil
    }
}

extension String {
    fileprivate var trimmingBlanks: Substring {
        let start = drop { $0 == " " || $0 == "\t" }
        return start.prefix(
            upTo: start.lastIndex { $0 != " " && $0 != "\t" }
                .map { start.index(after: $0) } ?? start.startIndex)
    }
}

import Page
import Polls
import Reactor

/// The web application. One document stands at all its paths: its script reads which, and says if
/// there is no such poll.
extension Gateway {
    func sendPage(_ request: borrowing Request, _ exchange: Exchange) {
        sendDocument(request, exchange, framedBy: "'none'")
    }

    func sendPollPage(_ request: borrowing Request, _ exchange: Exchange, _ id: PollID) {
        sendDocument(request, exchange, framedBy: "'none'")
    }

    /// The one document that may stand in other sites' frames: in those of the allowed origins, where
    /// there is a list, as only they get answers.
    func sendEmbeddedPoll(_ request: borrowing Request, _ exchange: Exchange, _ id: PollID) {
        let allowed = origins.allowed.map { (["'self'"] + $0).joined(separator: " ") }
        sendDocument(request, exchange, framedBy: allowed ?? "*")
    }

    func send(_ file: PageFile, _ request: borrowing Request, _ exchange: Exchange) {
        var answer = Answer(file, AcceptEncoding(request.field("accept-encoding")))
        // Another content has another name.
        if file.path.description.hasPrefix("/assets/") { answer.caching = .forever }
        exchange.send(answer, unlessKnown: request.knownTags)
    }

    /// Whoever opens the page is a voter from then on.
    private func sendDocument(
        _ request: borrowing Request, _ exchange: Exchange, framedBy ancestors: String
    ) {
        var answer = Answer(PageFile.document, AcceptEncoding(request.field("accept-encoding")))
        answer.caching = .revalidatedByCaller
        // Only what we serve ourselves, and nothing inline.
        answer.fields.add(
            "Content-Security-Policy",
            """
            default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
            connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; \
            frame-ancestors \(ancestors)
            """)
        answer.fields.add("Referrer-Policy", "same-origin")
        answer.fields.add(
            "Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
        if cookieVoter(of: request) == nil, let cookie = newVoterCookie() {
            answer.fields.add("Set-Cookie", cookie)
        }
        exchange.send(answer, unlessKnown: request.knownTags)
    }
}

extension Answer {
    fileprivate init(_ file: PageFile, _ accepted: AcceptEncoding) {
        self.init(.of(file), accepted.prefersGzip ? file.gzipped : file.plain)
        caching = .revalidated
        // The two are told apart, as their bytes differ (RFC 9110 §8.8.3.3).
        etag = ETag(of: body)
        vary = .acceptEncoding
        if accepted.prefersGzip { fields.add("Content-Encoding", "gzip") }
    }
}

extension Answer.MediaType {
    fileprivate static func of(_ file: PageFile) -> Self {
        for (suffix, type) in suffixes where file.path.description.hasSuffix(suffix) { return type }
        preconditionFailure("a file of the page has no media type")
    }

    private static let suffixes: KeyValuePairs<String, Self> = [
        ".html": .html, ".js": .script, ".css": .style, ".svg": .image, ".d.ts": .plain,
        ".webmanifest": .manifest,
    ]
}

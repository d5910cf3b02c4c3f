import Reactor
import StatusPage

/// The page with charts, on the ops listener.
extension Gateway {
    func sendStatusPage(_ request: borrowing Request, _ exchange: Exchange) {
        var answer = Answer(file: .html, StatusPage.document)
        // Only what comes from here; the empty icon keeps browsers from asking for one.
        answer.fields.add(
            "Content-Security-Policy",
            """
            default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
            img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'
            """)
        answer.fields.add("Referrer-Policy", "no-referrer")
        exchange.send(answer, unlessKnown: request.knownTags)
    }

    func sendStatusScript(_ request: borrowing Request, _ exchange: Exchange) {
        exchange.send(
            Answer(file: .script, StatusPage.script), unlessKnown: request.knownTags)
    }

    func sendStatusStyle(_ request: borrowing Request, _ exchange: Exchange) {
        exchange.send(Answer(file: .style, StatusPage.style), unlessKnown: request.knownTags)
    }
}

extension Answer {
    fileprivate init(file mediaType: MediaType, _ bytes: [UInt8]) {
        self.init(mediaType, bytes)
        caching = .revalidated
        etag = ETag(of: bytes)
    }
}

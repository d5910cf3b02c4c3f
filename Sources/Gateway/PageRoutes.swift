import Polls
import Reactor

/// A file of the first page, as it was built into the program (`Page/`).
struct PageFile {
    let mediaType: Answer.MediaType
    let bytes: [UInt8]
    let etag: ETag

    private init(_ mediaType: Answer.MediaType, _ bytes: [UInt8]) {
        self.mediaType = mediaType
        self.bytes = bytes
        etag = ETag(of: bytes)
    }

    static let document = PageFile(.html, PackageResources.page_html)
    static let script = PageFile(.script, PackageResources.page_js)
    static let style = PageFile(.style, PackageResources.page_css)
    static let icon = PageFile(.image, PackageResources.icon_svg)

    /// Only what we serve ourselves, nothing inline, in nobody's frame.
    static let contentSecurityPolicy = """
        default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
        connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'
        """
}

extension Gateway {
    func sendPage(_ request: borrowing Request, _ exchange: Exchange) {
        sendDocument(request, exchange)
    }

    /// The same document: its script reads the path, and says if there is no such poll.
    func sendPollPage(_ request: borrowing Request, _ exchange: Exchange, _ id: PollID) {
        sendDocument(request, exchange)
    }

    func sendScript(_ request: borrowing Request, _ exchange: Exchange) {
        exchange.send(Answer(.script), unlessKnown: request.knownTags)
    }

    func sendStyle(_ request: borrowing Request, _ exchange: Exchange) {
        exchange.send(Answer(.style), unlessKnown: request.knownTags)
    }

    func sendIcon(_ request: borrowing Request, _ exchange: Exchange) {
        exchange.send(Answer(.icon), unlessKnown: request.knownTags)
    }

    /// Whoever opens the page is a voter from then on.
    private func sendDocument(_ request: borrowing Request, _ exchange: Exchange) {
        var answer = Answer(.document)
        answer.caching = .revalidatedByCaller
        answer.fields.add("Content-Security-Policy", PageFile.contentSecurityPolicy)
        answer.fields.add("Referrer-Policy", "same-origin")
        if cookieVoter(of: request) == nil {
            answer.fields.add("Set-Cookie", voterCookie(mintVoterToken()))
        }
        exchange.send(answer, unlessKnown: request.knownTags)
    }
}

extension Answer {
    fileprivate init(_ file: PageFile) {
        self.init(file.mediaType, file.bytes)
        caching = .revalidated
        etag = file.etag
    }
}

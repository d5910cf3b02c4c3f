import JSON
import Polls
import Reactor

/// One page of a list, by its number: from 1 on.
struct ListPage: Equatable {
    var number = 1
    var size = 10

    func hasNext(of count: Int) -> Bool { number * size < count }

    /// The first page is there even where it is empty.
    func isPastEnd(of count: Int) -> Bool { number > 1 && (number - 1) * size >= count }
}

/// `GET /polls/`: which page of which polls.
struct PollListRequest: Equatable {
    static let pageSizeLimit = 100

    var filter = PollFilter.open
    var page = ListPage()

    init(_ query: Query) throws(APIError) {
        if let state = try query.value("state") {
            guard let filter = PollFilter(rawValue: String(decoding: state, as: UTF8.self)) else {
                throw .invalid(field: "state", message: "Give open, scheduled, closed or all.")
            }
            self.filter = filter
        }
        if let page = try query.integer("page") {
            guard page >= 1 else {
                throw .invalid(field: "page", message: "Give a page from 1 on.")
            }
            // What lies past it is past the end, and page × size stays far from overflowing.
            guard page <= 1 << 40 else { throw .pageNotFound }
            self.page.number = Int(page)
        }
        if let size = try query.integer("page_size") {
            guard size >= 1 else {
                throw .invalid(field: "page_size", message: "Give a size from 1 on.")
            }
            page.size = Int(min(size, Int64(Self.pageSizeLimit)))
        }
    }
}

/// Links to other pages of a list: absolute, with all other parameters as they came.
struct PageLinks {
    /// Scheme, authority, path and the other parameters, up to the number of the page.
    private let start: String

    /// - Parameter base: scheme and authority; empty where nobody told, and then links are relative.
    init(base: String, path: String, query: Query) {
        let others = query.removing("page")
        start =
            base + path + "?" + String(decoding: others, as: UTF8.self)
            + (others.isEmpty ? "" : "&") + "page="
    }

    func link(to page: Int) -> String { start + String(page) }
}

extension Gateway {
    func listPolls(_ request: borrowing Request, _ exchange: Exchange) {
        let query = Query(request.query)
        let wanted: PollListRequest
        do {
            wanted = try PollListRequest(query)
        } catch {
            return exchange.send(error)
        }
        let links = PageLinks(base: baseURL(for: request), path: "/polls/", query: query)
        askForPage(wanted.page, of: wanted.filter) { answer in
            switch answer {
            case .page(let found) where wanted.page.isPastEnd(of: found.count):
                exchange.send(.pageNotFound)
            case .page(let found): exchange.send(Answer(found, wanted.page, links))
            case .refused(let refusal): exchange.send(.of(refusal))
            default: preconditionFailure("the catalogue answered another question")
            }
        }
    }

    /// Scheme and authority that clients reach us by.
    func baseURL(for request: borrowing Request) -> String {
        if let publicURL = settings.publicURL { return publicURL }
        if request.host.isEmpty { return "" }
        let scheme = settings.endsTLS ? "https://" : "http://"
        return scheme + String(decoding: request.host, as: UTF8.self)
    }
}

extension Answer {
    /// A list shows what everybody may see, whoever asks: whether a caller voted in each of its
    /// polls is asked where one poll is read.
    fileprivate init(_ found: PollPage, _ page: ListPage, _ links: PageLinks) {
        self.init(page, of: found.count, link: links.link) { json in
            for poll in found.polls {
                json.write(poll, view: poll.showsCountsToEverybody ? .everything : .hidden)
            }
        }
        caching = .revalidated
    }

    /// A page as both APIs wrap it; `write` writes what is on it, one value after another.
    init(
        _ page: ListPage, of count: Int, link: (Int) -> String, _ write: (inout JSONWriter) -> Void
    ) {
        var json = JSONWriter()
        json.beginObject()
        json.member("count", count)
        json.member("next", page.hasNext(of: count) ? link(page.number + 1) : nil)
        json.member("previous", page.number > 1 ? link(page.number - 1) : nil)
        json.name("results")
        json.beginArray()
        write(&json)
        json.endArray()
        json.endObject()
        self.init(json: json)
    }
}

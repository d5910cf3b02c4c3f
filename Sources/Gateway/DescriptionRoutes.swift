import Description
import Reactor

/// What describes the API to programs.
extension Gateway {
    func sendOpenAPI(_ request: borrowing Request, _ exchange: Exchange) {
        exchange.send(.openAPI, unlessKnown: request.knownTags)
    }

    func sendAsyncAPI(_ request: borrowing Request, _ exchange: Exchange) {
        exchange.send(.asyncAPI, unlessKnown: request.knownTags)
    }
}

extension Answer {
    fileprivate static let openAPI = Answer(description: Description.openAPI)
    fileprivate static let asyncAPI = Answer(description: Description.asyncAPI)

    private init(description: [UInt8]) {
        self.init(.json, description)
        caching = .revalidated
        etag = ETag(of: description)
    }
}

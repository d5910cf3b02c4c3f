import Testing

@testable import Gateway

/// Header fields that routes read: Accept, Content-Type, If-None-Match, Prefer.
struct RouteFieldTests {
    private func quality(_ accept: String?, _ type: StaticString, _ subtype: StaticString) -> Int {
        guard let accept else { return Accept(nil).quality(of: type, subtype) }
        return withBytes(accept) { Accept($0).quality(of: type, subtype) }
    }

    @Test func `the most specific range says how much a type is wanted`() {
        let accept = "text/*;q=0.3, text/html;q=0.7, text/csv;q=0, */*;q=0.5"
        #expect(quality(accept, "text", "html") == 700)
        #expect(quality(accept, "text", "plain") == 300)
        #expect(quality(accept, "text", "csv") == 0)
        #expect(quality(accept, "application", "json") == 500)
        #expect(quality("TEXT/HTML;Q=0.125;x=y", "text", "html") == 125)
        #expect(quality("image/png", "text", "html") == 0)
        #expect(quality(nil, "text", "html") == 1000)
    }

    @Test(arguments: ["", ";;;,,/", ",", "text", "/", "text/", "/csv"])
    func `an Accept that cannot be read accepts everything`(accept: String) {
        #expect(quality(accept, "text", "csv") == 1000)
    }

    @Test(arguments: ["2", "1.5", "0.1234", "x", "", "-1", "0,5", "1.001"])
    func `a range with a quality that cannot be read is ignored`(quality: String) {
        let accept = "text/csv;q=\(quality), */*;q=0.2"
        #expect(self.quality(accept, "text", "csv") == (quality == "0,5" ? 0 : 200))
    }

    @Test func `results are JSON unless CSV is preferred or named`() throws {
        func format(_ query: String, _ accept: String?) throws -> ResultsFormat {
            try withBytes(query) { query in
                guard let accept else { return try ResultsFormat(Query(query), Accept(nil)) }
                return try withBytes(accept) { try ResultsFormat(Query(query), Accept($0)) }
            }
        }
        #expect(try format("", nil) == .json)
        #expect(try format("", "*/*") == .json)
        #expect(try format("", "text/csv") == .csv)
        #expect(try format("", "text/csv;q=0.5, application/json") == .json)
        #expect(try format("format=csv", "application/json") == .csv)
        #expect(try format("format=json", "text/csv") == .json)
        #expect(throws: APIError.notAcceptable) { try format("", "image/png") }
        let error = #expect(throws: APIError.self) { try format("format=xml", nil) }
        #expect(error?.field == "format")
    }

    @Test func `a body is JSON or a form in UTF-8`() {
        func type(_ field: String) -> BodyType? { withBytes(field) { BodyType(contentType: $0) } }
        for field in [
            "application/json", "Application/JSON", "application/json; charset=utf-8",
            "application/json;charset=UTF-8;x=y", "application/json; charset=\"utf-8\"",
        ] { #expect(type(field) == .json) }
        #expect(type("application/x-www-form-urlencoded") == .form)
        for field in [
            "", "text/plain", "application/json; charset=utf-16", "application/jsonp", "json",
            "multipart/form-data; boundary=b", "text/plain; application/json", "application/xml",
            "application/json, text/plain",
        ] { #expect(type(field) == nil, "\(field)") }
    }

    @Test func `a tag is named by itself, by its weak form, in a list, and by all`() {
        let tag = ETag(of: makeUnedited(7, revision: 43).poll, .everything)
        #expect(tag.text == "\"43\"")
        func isNamed(_ field: String) -> Bool { withBytes(field) { tag.isNamed(by: $0) } }
        for field in ["\"43\"", "W/\"43\"", "\"1\", \"43\"", "\"43\" ,\"2\"", "*", " * "] {
            #expect(isNamed(field), "\(field)")
        }
        for field in [
            "", "43", "\"", "W/\"", "*bad*", "\"0\", \"1\"", ",", "w/\"43\"", "\"43", "\"43-csv\"",
            "\"430\"", "\"4\",\"3\"",
        ] { #expect(!isNamed(field), "\(field)") }
    }

    @Test func `one revision has a tag for each of its views`() {
        let poll = makeRecord(7, results: .afterVote, revision: 5).poll
        #expect(poll.shownRevision == poll.tally.revision)
        let tags = [
            ETag(of: poll, .everything), ETag(of: poll, .hidden),
            ETag(of: poll, .everything, variant: "-csv"), ETag(of: poll, .hidden, variant: "-csv"),
        ]
        #expect(Set(tags.map(\.text)).count == tags.count)
    }

    @Test func `words that may have come after a tally have a tag of their own with it`() {
        var missed = makeRecord(7, revision: 1_000_500, counts: [1, 0]).poll
        missed.shownRevision = 900_000
        var heard = missed
        heard.title = "edited"
        heard.shownRevision = 1_000_000
        #expect(ETag(of: missed, .everything).text == "\"1000500\"")
        #expect(ETag(of: missed, .everything) != ETag(of: heard, .everything))
        // A close whose revision came with a tally that was read again.
        heard.shownRevision = 1_000_500
        #expect(ETag(of: missed, .everything) != ETag(of: heard, .everything))
        // The same, and nobody has voted.
        missed.tally.ballots = 0
        missed.tally.counts = [0, 0]
        heard.tally = missed.tally
        #expect(ETag(of: missed, .everything) != ETag(of: heard, .everything))
    }

    @Test func `the same file has the same tag, and another file another`() {
        #expect(ETag(of: [1, 2, 3]) == ETag(of: [1, 2, 3]))
        #expect(ETag(of: [1, 2, 3]) != ETag(of: [1, 2, 4]))
        #expect(ETag(of: []) != ETag(of: [0]))
    }

    @Test func `a client that does not wait says so among its preferences`() {
        func isAsynchronous(_ field: String) -> Bool {
            withBytes(field) { Prefer.isAsynchronous($0) }
        }
        for field in ["respond-async", "Respond-Async", "wait=5, respond-async", "respond-async;x"]
        {
            #expect(isAsynchronous(field), "\(field)")
        }
        for field in ["", "respond", ",;=", "wait=respond-async", "respond-async-not"] {
            #expect(!isAsynchronous(field), "\(field)")
        }
    }

    @Test func `an escape is a percent sign and two hexadecimal digits`() {
        for path in ["/", "/%41", "/%2e%2E/%00", ""] {
            #expect(withBytes(path) { PercentEncoding.isWellFormed($0) })
        }
        for path in ["/%", "/%4", "/%g0", "/%u0041", "/%%41", "/a%4"] {
            #expect(!withBytes(path) { PercentEncoding.isWellFormed($0) })
        }
    }
}

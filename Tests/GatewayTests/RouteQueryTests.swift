import Testing

@testable import Gateway

struct RouteQueryTests {
    private func value(_ query: String, _ name: StaticString) throws -> String? {
        try withBytes(query) {
            try Query($0).value(name).map { String(decoding: $0, as: UTF8.self) }
        }
    }

    @Test func `values are decoded as forms are`() throws {
        #expect(try value("a=1&voter=ada+%2B+b%C3%B6b%20%26&c", "voter") == "ada + böb &")
        #expect(try value("a=1&a=2&a=3", "a") == "3")
        #expect(try value("%61=1", "a") == "1")
        #expect(try value("a", "a") == "")
        #expect(try value("a=b=c", "a") == "b=c")
        #expect(try value("", "a") == nil)
        #expect(try value("&&=x&b", "a") == nil)
    }

    @Test(arguments: ["a=%", "a=%g0", "a=%2", "a=x%u0041"])
    func `a bad escape is malformed where the value is wanted`(query: String) throws {
        #expect(throws: APIError.malformedRequest) { try value(query, "a") }
        #expect(try value(query, "b") == nil)
    }

    @Test func `only decimal digits are an integer`() throws {
        let good: [(String, Int64)] = [
            ("0", 0), ("-7", -7), ("007", 7), ("9223372036854775807", .max),
            ("-9223372036854775808", .min),
        ]
        for (text, number) in good {
            #expect(try withBytes("n=\(text)") { try Query($0).integer("n") } == number)
        }
        let bad = [
            "", "-", "+1", "1.0", "1e3", "0x1", " 1", "1 ", "--1", "1-", "٣",
            "9223372036854775808", "-9223372036854775809", String(repeating: "9", count: 400),
        ]
        for text in bad {
            #expect(throws: APIError.invalid(field: "n", message: "Give a whole number.")) {
                try withBytes("n=\(text)") { try Query($0).integer("n") }
            }
        }
    }

    @Test func `a list is asked for with defaults and bounds`() throws {
        func read(_ query: String) throws -> PollListRequest {
            try withBytes(query) { try PollListRequest(Query($0)) }
        }
        let plain = try read("")
        #expect((plain.filter, plain.page.number, plain.page.size) == (.open, 1, 10))
        let wanted = try read("state=all&page=3&page_size=5000&colour=red&a[]=&b")
        #expect((wanted.filter, wanted.page.number, wanted.page.size) == (.all, 3, 100))
        for (query, field) in [
            ("state=banana", "state"), ("state=", "state"), ("page=x", "page"), ("page=0", "page"),
            ("page=-1", "page"), ("page=99999999999999999999", "page"),
            ("page_size=0", "page_size"), ("page_size=ten", "page_size"),
        ] {
            let error = #expect(throws: APIError.self) { try read(query) }
            #expect(error?.status == 422)
            #expect(error?.field == field)
        }
        #expect(throws: APIError.pageNotFound) { try read("page=9223372036854775807") }
    }

    @Test func `a list ends where its polls end`() throws {
        for count in 0...40 {
            let lastPage = max(1, (count + 9) / 10)
            for page in 1...6 {
                let wanted = try withBytes("page=\(page)") { try PollListRequest(Query($0)) }.page
                #expect(wanted.isPastEnd(of: count) == (page > lastPage))
                #expect(wanted.hasNext(of: count) == (page < lastPage))
            }
        }
    }

    @Test func `links to other pages keep the other parameters as they came`() {
        let links = withBytes("page_size=5&page=2&state=%6fpen&p%61ge=9&x") {
            PageLinks(base: "https://polls.example", path: "/polls/", query: Query($0))
        }
        #expect(
            links.link(to: 3)
                == "https://polls.example/polls/?page_size=5&state=%6fpen&x&page=3")
        let bare = withBytes("") { PageLinks(base: "", path: "/polls/", query: Query($0)) }
        #expect(bare.link(to: 2) == "/polls/?page=2")
    }

    @Test func `a drain takes the configured time, or one that is bounded`() throws {
        func read(_ query: String) throws -> Int? {
            try withBytes(query) { try Gateway.drainSeconds(Query($0)) }
        }
        #expect(try read("") == nil)
        #expect(try read("seconds=0") == 0)
        #expect(try read("seconds=86400") == 86400)
        for query in ["seconds=-1", "seconds=86401", "seconds=x", "seconds="] {
            #expect(throws: APIError.self) { try read(query) }
        }
    }
}

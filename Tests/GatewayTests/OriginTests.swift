import Testing

@testable import Gateway

struct OriginTests {
    private let good = "https://polls.example.com"
    private var listed: Origins {
        Origins(allowed: [good, "http://localhost:3000"], publicURL: nil, endsTLS: false)
    }

    static let foreign = [
        "https://polls.example.com.evil.com", "https://evilpolls.example.com",
        "http://polls.example.com", "https://polls.example.com:8443", "https://polls.example.com/",
        "null", "https://", "", "https://POLLS.example.com", "https://polls.example.com@evil.com",
    ]

    private func permission(_ origins: Origins, _ origin: String?, count: Int = 1)
        -> Origins.Permission
    {
        guard let origin else { return origins.permission(for: nil, count: 0) }
        return withBytes(origin) { origins.permission(for: $0, count: count) }
    }

    private func allows(
        _ origins: Origins, _ origin: String?, count: Int = 1, host: String = "gateway:8080"
    ) -> Bool {
        withBytes(host) { host in
            guard let origin else {
                return origins.allows(from: nil, count: 0, host: host)
            }
            return withBytes(origin) {
                origins.allows(from: $0, count: count, host: host)
            }
        }
    }

    @Test func `without a list any page may ask, without credentials`() {
        let open = Origins(allowed: nil, publicURL: nil, endsTLS: false)
        #expect(permission(open, "https://any.example") == .anyPage)
        #expect(permission(open, nil) == .anyPage)
    }

    @Test func `with a list its pages may ask and nobody else`() {
        #expect(permission(listed, good) == .page(good))
        #expect(permission(listed, "http://localhost:3000") == .page("http://localhost:3000"))
        #expect(permission(listed, good, count: 2) == .none)
        #expect(permission(listed, nil) == .none)
    }

    @Test(arguments: foreign)
    func `an origin that merely resembles a listed one is foreign`(origin: String) {
        #expect(permission(listed, origin) == .none)
        #expect(!allows(listed, origin))
    }

    @Test func `who does more than read comes from a listed page, from ours, or from no page`() {
        #expect(allows(listed, good))
        #expect(allows(listed, nil))
        #expect(allows(listed, "http://gateway:8080"))
        #expect(!allows(listed, "http://gateway:8081"))
        #expect(!allows(listed, good, count: 2))
    }

    @Test func `without a list it is the same host or no page`() {
        let open = Origins(allowed: nil, publicURL: nil, endsTLS: false)
        #expect(allows(open, "http://gateway:8080"))
        #expect(allows(open, "https://GATEWAY:8080"))
        #expect(allows(open, nil))
        for origin in [
            "https://evil.com", "http://gateway", "http://gateway:80800", "http://gateway:8080/",
            "ftp://gateway:8080", "gateway:8080", "null", "http://", "",
        ] { #expect(!allows(open, origin), "\(origin)") }
        #expect(!allows(open, "http://", host: ""))
    }

    @Test func `where TLS ends here, the same host is one that is reached over it`() {
        let secure = Origins(allowed: nil, publicURL: nil, endsTLS: true)
        #expect(allows(secure, "https://gateway:8080"))
        #expect(allows(secure, nil))
        #expect(!allows(secure, "http://gateway:8080"))
        #expect(!allows(secure, "https://gateway"))
    }

    @Test func `the public URL is a page of ours, list or not`() {
        for allowed in [nil, [good]] {
            let origins = Origins(
                allowed: allowed, publicURL: "https://vote.example/sub", endsTLS: false)
            #expect(allows(origins, "https://vote.example"))
            #expect(!allows(origins, "https://vote.example/sub"))
            // Whoever reaches it in the clear is not the page that the URL means; another host may be.
            #expect(allows(origins, "https://vote.example", host: "vote.example"))
            #expect(!allows(origins, "http://vote.example", host: "vote.example"))
            #expect(!allows(origins, "http://Vote.Example", host: "vote.example"))
            #expect(allows(origins, "http://gateway:8080"))
        }
        #expect(Origins.origin(of: "https://a.example:8443") == "https://a.example:8443")
        #expect(Origins.origin(of: "http://a.example/x/y") == "http://a.example")
    }
}

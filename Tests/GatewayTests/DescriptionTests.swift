import Description
import Foundation
import Page
import Testing

@testable import Gateway

/// The descriptions that programs read name what is there, and all of it.
struct DescriptionTests {
    private func document(_ bytes: [UInt8]) throws -> [String: Any] {
        try #require(JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
    }

    /// `GET /polls/` and so on: what every listener serves, but for the pages of the web application and
    /// the files they are built of. The original's paths without their last slash are the same routes
    /// again, and described in a sentence.
    private var served: Set<String> {
        let paths = Set(Routes.publicAPI.map(\.path.description))
        let pages = Set((Routes.page.map(\.path) + PageFile.files.map(\.path)).map(\.description))
        return Set(
            Routes.publicAPI.flatMap { route -> [String] in
                let path = route.path.description
                if pages.contains(path) || paths.contains(path + "/") { return [] }
                return methods(of: route).map { "\($0) \(path)" }
            })
    }

    private func methods(of route: Route) -> [String] {
        route.allowedMethods.split(separator: ", ").map(String.init).filter {
            !["HEAD", "OPTIONS"].contains($0)
        }
    }

    @Test func `what is left out of OpenAPI can only be read`() {
        #expect(Routes.page.count > 3)
        for route in Routes.page { #expect(methods(of: route) == ["GET"], "\(route.path)") }
    }

    @Test func `OpenAPI names every route and method, and no other`() throws {
        let paths = try #require(
            try document(Description.openAPI)["paths"] as? [String: [String: Any]])
        let described = paths.flatMap { path, item in
            item.keys.filter { $0 != "parameters" }.map { "\($0.uppercased()) \(path)" }
        }
        #expect(Set(described).subtracting(served) == [], "described, and not there")
        #expect(served.subtracting(described) == [], "there, and not described")
    }

    @Test func `AsyncAPI names the paths of live routes, and no other`() throws {
        let channels = try #require(
            try document(Description.asyncAPI)["channels"] as? [String: [String: Any]])
        let described = Set(channels.values.compactMap { $0["address"] as? String })
        let live = Set(
            served.compactMap {
                let path = String($0.dropFirst("GET ".count))
                let isLive = path.hasPrefix("/ws/") || path.hasSuffix("/events/")
                return isLive && path != "/ws/echo/" ? path : nil
            })
        #expect(described == live)
    }

    @Test func `the descriptions are answered, and not again to who has them`() {
        let front = RouteFront()
        for path in ["/openapi.json", "/asyncapi.json"] {
            let answer = front.send("GET", path)
            #expect(answer.status == 200)
            #expect(answer.fields["content-type"] == "application/json")
            let tag = "If-None-Match: \(answer.fields["etag"] ?? "")"
            #expect(front.send("GET", path, [tag]).status == 304)
        }
    }
}

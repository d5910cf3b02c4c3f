import Polls
import Reactor
import Testing

@testable import Gateway

/// Calls `body` with the bytes of a text.
func withBytes<Value>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> Value) rethrows
    -> Value
{
    try Array(text.utf8).withUnsafeBytes(body)
}

struct RouteTests {
    /// What a path leads to on the public listener: the path of the route, and the argument.
    private func match(_ path: String) -> (StaticString, PathArgument)? {
        withBytes(path) { bytes in
            for route in Routes.publicAPI {
                if let argument = route.match(bytes) { return (route.path, argument) }
            }
            return nil
        }
    }

    @Test(arguments: [
        ("/", "/", PathArgument.none), ("/polls/", "/polls/", .none),
        ("/polls/7/", "/polls/{id}/", .poll(PollID(7)!)),
        ("/polls/7/open/", "/polls/{id}/open/", .poll(PollID(7)!)),
        ("/polls/140737488355327/", "/polls/{id}/", .poll(PollID(140_737_488_355_327)!)),
        ("/polls/7/results/", "/polls/{id}/results/", .poll(PollID(7)!)),
        ("/polls/7/ballots/", "/polls/{id}/ballots/", .poll(PollID(7)!)),
        ("/ws/", "/ws/", .none), ("/ws/polls/9/", "/ws/polls/{id}/", .poll(PollID(9)!)),
        ("/ws/echo/", "/ws/echo/", .none), ("/votes/", "/votes/", .none),
        ("/join/AbC234", "/join/{code}", .code("AbC234")), ("/p/3", "/p/{id}", .poll(PollID(3)!)),
    ])
    func `a path leads to its route`(path: String, route: String, argument: PathArgument) throws {
        let found = try #require(match(path))
        #expect(found.0.description == route)
        #expect(found.1 == argument)
    }

    @Test(arguments: [
        "", "*", "//", "/polls", "/polls//", "//polls/", "/polls/7", "/polls//7/", "/polls/07/",
        "/polls/0/", "/polls/-1/", "/polls/+1/", "/polls/1.5/", "/polls/1e0/", "/polls/abc/",
        "/polls/140737488355328/", "/polls/99999999999999999999/", "/polls/7/nowhere/",
        "/polls/7/open", "/polls/../votes/", "/./", "/%2e%2e/", "/polls/%37/", "/votes/7/",
        "/join/", "/join/a-b", "/join/ab/", "/p/", "/p/7/", "/metrics", "/livez", "/drain",
        "/page.html", "/POLLS/", "/join/\(String(repeating: "a", count: 33))", "/polls/open/",
    ])
    func `any other path leads nowhere`(path: String) { #expect(match(path) == nil) }

    @Test func `every path of the table matches itself alone`() {
        for table in [Routes.publicAPI, Routes.operations] {
            for route in table {
                let path = route.path.description.replacing("{id}", with: "7")
                    .replacing("{code}", with: "AB23")
                let matches = withBytes(path) { bytes in
                    table.filter { $0.match(bytes) != nil }.map(\.path.description)
                }
                #expect(matches == [route.path.description])
            }
        }
    }

    @Test func `a route names its methods and takes HEAD for GET`() throws {
        let route = try #require(
            Routes.publicAPI.first { $0.path.description == "/polls/{id}/" })
        #expect(route.allowedMethods == "GET, HEAD, PATCH, DELETE, OPTIONS")
        #expect(route.handler(for: .head) != nil)
        for method in [Request.Method.post, .put, .trace, .connect, .other, .options] {
            #expect(route.handler(for: method) == nil)
        }
    }

    @Test func `the handler of each route fits its path`() {
        for route in Routes.publicAPI + Routes.operations {
            for method in [Request.Method.get, .post, .patch, .delete] {
                let path = route.path.description
                switch route.handler(for: method) {
                case .poll: #expect(path.contains("{id}"))
                case .code: #expect(path.contains("{code}"))
                case .plain, .file: #expect(!path.contains("{"))
                case nil: break
                }
            }
        }
    }
}

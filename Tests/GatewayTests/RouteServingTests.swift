import Foundation
import Identity
import Polls
import Testing

@testable import Gateway

/// Routes over real sockets: what a client gets.
struct RouteServingTests {
    private static let host = "Authorization: Bearer psh_7"

    /// Polls 1 to 9, and nothing else.
    private func front(
        _ settings: GatewaySettings = .init(),
        _ script: @escaping ScriptedCatalogue.Script = { _ in .refused(.storageUnavailable) }
    ) -> RouteFront {
        let front = RouteFront(settings)
        front.catalogue.answers { request in
            guard case .read(let ids) = request else { return script(request) }
            return .polls(ids.map { $0.rawValue < 10 ? makeUnedited($0.rawValue) : nil })
        }
        return front
    }

    @Test func `an unknown path, method or poll is told apart`() {
        let front = front()
        #expect(front.send("GET", "/nowhere").status == 404)
        #expect(front.send("GET", "/%zz").status == 400)
        #expect(front.send("GET", "/polls/7/").status == 200)
        #expect(front.send("GET", "/polls/70/").text.contains("\"poll_not_found\""))
        let wrong = front.send("PUT", "/polls/7/")
        #expect(wrong.status == 405)
        #expect(wrong.fields["allow"] == "GET, HEAD, PATCH, DELETE, OPTIONS")
        let head = front.send("HEAD", "/polls/7/")
        #expect((head.status, head.body.count) == (200, 0))
        #expect(head.fields["content-type"] == "application/json")
        #expect(front.send("OPTIONS", "*").status == 204)
    }

    @Test func `a revision that is known is not sent again`() {
        let front = front()
        let first = front.send("GET", "/polls/7/")
        #expect(first.fields["etag"] == "\"5\"")
        #expect(first.fields["vary"] == "Authorization, Cookie")
        let again = front.send("GET", "/polls/7/", ["If-None-Match: \"5\""])
        #expect((again.status, again.body.count) == (304, 0))
        #expect(again.fields["etag"] == "\"5\"")
        #expect(front.send("GET", "/polls/7/", ["If-None-Match: \"4\""]).status == 200)
        let csv = front.send(
            "GET", "/polls/7/results/", ["Accept: text/csv", "If-None-Match: \"5\""])
        #expect(
            (csv.status, csv.text) == (
                200, "option_id,text,votes\r\n70,option 0,0\r\n71,option 1,0\r\n"
            ))
    }

    @Test func `a page is refused while memory is short, and gives back what it took`() {
        let front = RouteFront(bufferLimit: 1 << 20)
        front.catalogue.answers { _ in .page(PollPage(polls: [makeRecord(7).poll], count: 1)) }
        #expect(front.budget.reserve(bytes: 900_000))
        for path in ["/polls/", "/api/polls/get-list/"] {
            let answer = front.send("GET", path)
            #expect(answer.status == 503)
            #expect(answer.fields["retry-after"] == "1", "\(path)")
        }
        front.budget.release(bytes: 900_000)
        for _ in 0..<5 {
            #expect(front.send("GET", "/polls/?page_size=100").status == 200)
        }
    }

    @Test func `a preflight is answered for the pages of the list`() {
        var settings = GatewaySettings()
        settings.allowedOrigins = ["https://a.example"]
        let front = front(settings)
        let asks = "Access-Control-Request-Method: POST"
        let allowed = front.send("OPTIONS", "/votes/", ["Origin: https://a.example", asks])
        #expect(allowed.status == 204)
        #expect(allowed.fields["access-control-allow-origin"] == "https://a.example")
        #expect(allowed.fields["access-control-allow-methods"] == "POST, OPTIONS")
        let foreign = front.send("OPTIONS", "/votes/", ["Origin: https://b.example", asks])
        #expect(foreign.status == 204)
        #expect(!foreign.fields.keys.contains { $0.hasPrefix("access-control") })
    }

    @Test func `who makes polls holds the admin key where there is one`() {
        var settings = GatewaySettings()
        settings.adminKeyHash = withBytes("psa_x") { AdminKey.hash(of: $0) }
        let front = front(settings) { _ in .created(makeRecord(8), hostKey: "psh_8") }
        func create(_ fields: String...) -> HTTPAnswer {
            front.send(
                "POST", "/polls/", ["Content-Type: application/json"] + fields,
                body: #"{"title":"t","options":["a","b"]}"#)
        }
        #expect(create().status == 401)
        #expect(create("Authorization: Bearer psh_8").status == 401)
        #expect(create("Authorization: Bearer psa_y").status == 403)
        let created = create("Authorization: Bearer psa_x")
        #expect(created.status == 201)
        #expect(created.fields["location"] == "/polls/8/")
        #expect(created.text.contains("\"host_key\":\"psh_8\""))
    }

    @Test func `past the rate a client is told when to come again`() {
        var settings = GatewaySettings()
        settings.ratePolls = Rate(count: 2, perMilliseconds: 60_000)
        let front = front(settings) { _ in .created(makeRecord(8), hostKey: "psh_8") }
        let answers = (0..<3).map { _ in
            front.send(
                "POST", "/polls/", ["Content-Type: application/json"],
                body: #"{"title":"t","options":["a","b"]}"#)
        }
        #expect(answers.map(\.status) == [201, 201, 429])
        #expect((1...30).contains(Int(answers[2].fields["retry-after"] ?? "") ?? 0))
    }

    @Test func `operations have a listener of their own and nothing else is there`() {
        let front = front()
        #expect(front.send("GET", "/livez", operations: true).text == "ok\n")
        #expect(front.send("GET", "/readyz", operations: true).status == 200)
        #expect(front.send("GET", "/metrics", operations: true).text == "pollstream_up 1\n")
        #expect(front.send("GET", "/polls/7/", operations: true).status == 404)
        #expect(front.send("GET", "/livez").status == 404)
        front.catalogue.setReady(false)
        #expect(front.send("GET", "/readyz", operations: true).status == 503)
        #expect(front.send("GET", "/livez", operations: true).status == 200)
        #expect(front.send("GET", "/drain", operations: true).status == 405)
        #expect(front.send("POST", "/drain?seconds=x", operations: true).status == 422)
        #expect(front.send("POST", "/drain?seconds=9", operations: true).status == 202)
        #expect(front.send("POST", "/drain", operations: true).status == 202)
        #expect(front.catalogue.drainRequests == [9, nil])
    }

    @Test func `a page that the operator has open can neither drain nor read operations`() {
        let front = front()
        let page = ["Origin: https://a.example"]
        #expect(front.send("POST", "/drain", page, operations: true).status == 403)
        #expect(front.catalogue.drainRequests.isEmpty)
        let metrics = front.send("GET", "/metrics", page, operations: true)
        #expect(metrics.fields["access-control-allow-origin"] == nil)
    }

    @Test func `a stream that is asked for its head alone ends behind it`() {
        let answer = front().send("HEAD", "/polls/7/events/")
        #expect(answer.status == 200 && answer.body.isEmpty)
        #expect(answer.fields["content-type"]?.hasPrefix("text/event-stream") == true)
        #expect(answer.fields["cache-control"] == "no-store")
    }

    @Test func `the page is locked down, has its files, and makes its visitor a voter`() throws {
        let front = front()
        let page = front.send("GET", "/")
        #expect(page.status == 200)
        #expect(page.fields["content-security-policy"]?.contains("default-src 'none'") == true)
        let cookie = try #require(page.fields["set-cookie"]?.split(separator: ";").first)
        let again = front.send("GET", "/p/7", ["Cookie: \(cookie)"])
        #expect(again.body == page.body)
        #expect(again.fields["set-cookie"] == nil)
        let names = page.text.matches(of: /(?:src|href)="([^"]+)"/).map { String($0.1) }
        #expect(names.count == 4)
        for name in names { #expect(front.send("GET", name).status == 200, "\(name)") }
    }

    // MARK: Exports

    /// Ballots of poll 7, by key, as the catalogue pages them.
    private static func page(after key: BallotKey?, limit: Int, of count: Int) -> [StoredBallot] {
        let first = key.map { Int($0.low) + 1 } ?? 0
        return (first..<min(first + limit, count)).map {
            StoredBallot(
                key: BallotKey(poll: PollID(7)!, voter: VoterKey(high: 0, low: UInt64($0))),
                choices: Choices(mask: 0b10), voter: "voter \($0)", castAt: 1_790_000_000_000)
        }
    }

    @Test(arguments: [0, 1, 999, 1000, 1001, 2500])
    func `an export holds every ballot once, whatever the pages`(count: Int) {
        let front = front { request in
            guard case .ballots(_, let key, let limit) = request else { return .deleted }
            return .ballots(Self.page(after: key, limit: limit, of: count))
        }
        let answer = front.send("GET", "/polls/7/ballots/", [Self.host])
        #expect(answer.status == 200)
        #expect(answer.isWhole)
        var lines = ["voter,option_ids,cast_at"]
        lines += (0..<count).map { "voter \($0),71,2026-09-21T14:13:20Z" }
        #expect(answer.text == lines.joined(separator: "\r\n") + "\r\n")
    }

    @Test func `an export that fails half-way is not taken for whole`() {
        let front = front { request in
            guard case .ballots(_, let key, let limit) = request, key == nil else {
                return .refused(.storageUnavailable)
            }
            return .ballots(Self.page(after: nil, limit: limit, of: 5000))
        }
        let answer = front.send("GET", "/polls/7/ballots/", [Self.host])
        #expect(answer.status == 200)
        #expect(!answer.isWhole)
        // And its slot is free again.
        for _ in 0..<3 {
            #expect(front.send("GET", "/polls/7/ballots/", [Self.host]).status == 200)
        }
    }

    @Test func `two readers that stall hold their poll's exports until they go, and little memory`()
        async throws
    {
        let asked = Counted()
        let front = front { request in
            switch request {
            case .ballots(_, let key, let limit):
                asked.add()
                return .ballots(Self.page(after: key, limit: limit, of: 5_000_000))
            case .audit:
                let tally = makeRecord(7).poll.tally
                return .audit(Audit(tally: tally, ballots: 0, counts: [0, 0]))
            default: return .refused(.storageUnavailable)
            }
        }
        var stalled: [HTTPConnection] = (0..<2).map { _ in
            let connection = front.connect()
            connection.send("GET", "/polls/7/ballots/", [Self.host])
            _ = connection.read(atLeast: 1)
            return connection
        }
        let third = front.send("GET", "/polls/7/ballots/", [Self.host])
        #expect(third.status == 503)
        #expect(third.fields["retry-after"] != nil)
        #expect(front.send("GET", "/polls/7/audit/", [Self.host]).status == 200)
        // Pages are read while they are taken: what nobody takes is not read. The kernel's buffers
        // and an outbox for each hold far less than these 1,000 of 10,000 pages.
        #expect(asked.count < 1_000)
        stalled.removeAll()
        // Whoever comes now is a third where one of them still stands, and stalls in its turn.
        var head = ""
        for _ in 0..<200 where !head.hasPrefix("HTTP/1.1 200") {
            let connection = front.connect()
            connection.send("GET", "/polls/7/ballots/", [Self.host])
            head = String(decoding: connection.read(atLeast: 12), as: UTF8.self)
            if !head.hasPrefix("HTTP/1.1 200") { try await Task.sleep(for: .milliseconds(50)) }
        }
        #expect(head.hasPrefix("HTTP/1.1 200"))
    }

    @Test func `a request that has begun behind an export is answered after it`() {
        let front = front { request in
            guard case .ballots(_, let key, let limit) = request else { return .deleted }
            return .ballots(Self.page(after: key, limit: limit, of: 1500))
        }
        let connection = front.connect()
        let export = "GET /polls/7/ballots/ HTTP/1.1\r\nHost: test\r\n\(Self.host)\r\n\r\n"
        connection.send(export + "GET /polls/8/ HTTP/1.1\r\nHo")
        let first = connection.read(atLeast: 1)
        connection.send("st: test\r\nConnection: close\r\n\r\n")
        let text = String(decoding: first + connection.read(atLeast: .max), as: UTF8.self)
        #expect(text.components(separatedBy: "HTTP/1.1 200 OK").count == 3)
        #expect(text.contains("voter 1499,71"))
        #expect(text.contains("\"id\":8,"))
    }

    @Test func `a request whose body has begun behind an export is answered, and the export later`()
    {
        let front = front { _ in .ballots([]) }
        let connection = front.connect()
        let export = "GET /polls/7/ballots/ HTTP/1.1\r\nHost: test\r\n\(Self.host)\r\n\r\n"
        let vote =
            "POST /votes/ HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
            + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        connection.send(export + vote + "2\r\n{\"\r\n3")
        let first = connection.read(atLeast: 1)
        connection.send("\r\nx\":\r\n0\r\n\r\n")
        let rest = connection.read(atLeast: .max)
        let text = String(decoding: first + rest, as: UTF8.self)
        #expect(text.contains("HTTP/1.1 503"))
        #expect(text.contains("\"malformed_json\""))
    }

    @Test func `only the host exports`() {
        let front = front { _ in .ballots([]) }
        #expect(front.send("GET", "/polls/7/ballots/").status == 401)
        #expect(front.send("GET", "/polls/8/ballots/", [Self.host]).status == 403)
        #expect(front.send("GET", "/polls/70/ballots/", [Self.host]).status == 404)
    }
}

/// Thread-safe.
private final class Counted: @unchecked Sendable {
    private let lock = NSLock()
    private var number = 0  // under `lock`

    var count: Int { lock.withLock { number } }
    func add() { lock.withLock { number += 1 } }
}

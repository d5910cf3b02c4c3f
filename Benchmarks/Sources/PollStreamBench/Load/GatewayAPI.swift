import Foundation
import Glibc

/// The few calls around a load: creating a poll, reading its result. Blocking, one connection each.
struct GatewayAPI {
    let endpoint: Endpoint

    struct Poll: Decodable {
        let id: UInt64
        let options: [Option]

        struct Option: Decodable {
            let id: UInt64
        }
    }

    func createPoll(title: String, optionCount: Int) throws -> Poll {
        struct Body: Encodable {
            let title: String
            let options: [String]
        }
        let body = Body(title: title, options: (1...optionCount).map { "Option \($0)" })
        let json = String(decoding: try JSONEncoder().encode(body), as: UTF8.self)
        return try call("POST", "/polls/", json: json)
    }

    /// The number of ballots the server says it counted.
    func total(of poll: Poll) throws -> UInt64 {
        struct Tally: Decodable {
            let total: UInt64
        }
        let tally: Tally = try call("GET", "/polls/\(poll.id)/results/")
        return tally.total
    }

    func revision(of poll: Poll) throws -> UInt64 {
        struct Tally: Decodable {
            let revision: UInt64
        }
        let tally: Tally = try call("GET", "/polls/\(poll.id)/results/")
        return tally.revision
    }

    /// Casts one ballot. - Throws: where it is not counted.
    func vote(_ poll: Poll, voter: String) throws {
        struct Counted: Decodable {
            let status: String
        }
        let json =
            #"{"poll_id":\#(poll.id),"option_id":\#(poll.options[0].id),"voter":"\#(voter)"}"#
        let _: Counted = try call("POST", "/votes/", json: json)
    }

    /// A whole request that casts one ballot.
    func voteRequest(poll: Poll, option: Int, voter: String) -> String {
        let option = poll.options[option % poll.options.count].id
        return request(
            "POST", "/votes/",
            json: #"{"poll_id":\#(poll.id),"option_id":\#(option),"voter":"\#(voter)"}"#)
    }

    private func request(_ method: String, _ path: String, json: String = "") -> String {
        var head = "\(method) \(path) HTTP/1.1\r\nHost: \(endpoint.host)\r\n"
        if !json.isEmpty {
            head += "Content-Type: application/json\r\nContent-Length: \(json.utf8.count)\r\n"
        }
        return head + "\r\n" + json
    }

    private func call<Answer: Decodable>(
        _ method: String, _ path: String, json: String = ""
    ) throws -> Answer {
        let response = try exchange(request(method, path, json: json))
        guard (200..<300).contains(response.status) else {
            throw Failure.server("\(method) \(path) was answered with \(response.status)")
        }
        return try JSONDecoder().decode(Answer.self, from: response.body)
    }

    private func exchange(_ request: String) throws -> (status: Int, body: Data) {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var timeout = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(
            socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        let bytes = Array(request.utf8)
        guard endpoint.connect(socket) == 0,
            send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
        else { throw Failure.server("\(endpoint) cannot be reached") }

        var received: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65536)
        while true {
            if let response = try Response.parse(received) { return response }
            let count = recv(socket, &piece, piece.count, 0)
            guard count > 0 else { throw Failure.server("\(endpoint) gave no whole answer") }
            received += piece[..<count]
        }
    }
}

import CWire
import Threads

/// One request and its answer on a connection of its own (HTTP/1.1, `Connection: close`).
struct HTTPCall {
    var method = "GET"
    var path: String
    var fields: [(name: String, value: String)] = []
    var body: [UInt8] = []

    struct Response {
        var status: Int
        /// By lower-case name; of a repeated field the last.
        var fields: [String: String]
        var body: [UInt8]
    }

    /// Blocks until the whole answer is there. - Parameter limit: for all of it.
    func perform(at endpoint: Endpoint, limit: Duration) throws(ClientError) -> Response {
        let deadline = Clock.monotonicNanoseconds() + limit.nanoseconds
        let socket = try ClientSocket(host: endpoint.host, port: endpoint.port, limit: limit)
        try socket.send(head(for: endpoint) + body)
        var bytes: [UInt8] = []
        var head: ResponseHead?
        while true {
            if head == nil { head = try ResponseHead(bytes) }
            if let head, let count = try head.bodyByteCount() {
                if bytes.count >= head.byteCount + count {
                    return Response(
                        status: head.status, fields: head.fields,
                        body: Array(bytes[head.byteCount..<head.byteCount + count]))
                }
            }
            guard Clock.monotonicNanoseconds() < deadline else { throw .timedOut }
            _ = try socket.receive(into: &bytes, until: deadline)
        }
    }

    private func head(for endpoint: Endpoint) -> [UInt8] {
        var text = "\(method) \(path) HTTP/1.1\r\nHost: \(endpoint.authority)\r\n"
        text += "Connection: close\r\n"
        for field in fields { text += "\(field.name): \(field.value)\r\n" }
        if !body.isEmpty || method == "POST" || method == "PATCH" {
            text += "Content-Length: \(body.count)\r\n"
            if !body.isEmpty { text += "Content-Type: application/json\r\n" }
        }
        return Array((text + "\r\n").utf8)
    }
}

/// The status line and the fields of an answer (RFC 9112 §4).
struct ResponseHead {
    let status: Int
    let fields: [String: String]
    /// Where the body begins.
    let byteCount: Int

    /// More than a gateway ever says.
    private static let byteLimit = 32_768

    /// - Returns: nil while its end has not come.
    init?(_ bytes: [UInt8]) throws(ClientError) {
        guard let end = Self.end(of: bytes) else {
            guard bytes.count <= Self.byteLimit else { throw .protocolViolated("endless head") }
            return nil
        }
        byteCount = end + 4
        let lines = String(decoding: bytes[..<end], as: UTF8.self)
            .split(separator: "\r\n", omittingEmptySubsequences: false)
        let words = lines[0].split(separator: " ", maxSplits: 2)
        guard words.count >= 2, words[0] == "HTTP/1.1", let status = Int(words[1]) else {
            throw .protocolViolated("no status line")
        }
        self.status = status
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else {
                throw .protocolViolated("a field without a colon")
            }
            let value = line[line.index(after: colon)...]
            fields[line[..<colon].lowercased()] = String(
                value.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
        self.fields = fields
    }

    /// - Returns: nil where the answer has no length; the calls made here get none such.
    func bodyByteCount() throws(ClientError) -> Int? {
        if status == 204 || status == 304 { return 0 }
        guard let text = fields["content-length"], let count = Int(text), count >= 0 else {
            throw .protocolViolated("an answer without its length")
        }
        return count
    }

    private static func end(of bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        return (0...bytes.count - 4).first {
            bytes[$0] == 13 && bytes[$0 + 1] == 10 && bytes[$0 + 2] == 13 && bytes[$0 + 3] == 10
        }
    }
}

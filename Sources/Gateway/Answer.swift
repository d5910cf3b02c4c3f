import JSON

/// An HTTP answer before it is bytes.
struct Answer {
    enum MediaType: String {
        case json = "application/json"
        case csv = "text/csv; charset=utf-8"
        case html = "text/html; charset=utf-8"
        case script = "text/javascript; charset=utf-8"
        case style = "text/css; charset=utf-8"
        case image = "image/svg+xml"
        case manifest = "application/manifest+json"
        case plain = "text/plain; charset=utf-8"
        case metrics = "text/plain; version=0.0.4; charset=utf-8"
        case eventStream = "text/event-stream; charset=utf-8"
    }

    /// What caches may do with it.
    enum Caching: String {
        /// Keep it, and ask each time whether it still holds.
        case revalidated = "no-cache"
        /// The same, for one caller alone.
        case revalidatedByCaller = "private, no-cache"
        /// Keep it for a year, as long as anybody may, without asking.
        case forever = "public, max-age=31536000, immutable"
        case never = "no-store"
    }

    /// Which request fields the answer depends on.
    struct Vary: OptionSet {
        let rawValue: UInt8
        static let authorization = Vary(rawValue: 1)
        static let cookie = Vary(rawValue: 2)
        static let accept = Vary(rawValue: 4)
        static let origin = Vary(rawValue: 8)
        static let acceptEncoding = Vary(rawValue: 16)
        static let caller: Vary = [.authorization, .cookie]
    }

    var status = 200
    var mediaType: MediaType?
    var body: [UInt8] = []
    /// nil: `fields` say it.
    var caching: Caching? = .never
    var vary: Vary = []
    var etag: ETag?
    var closes = false
    /// Of the error that it tells of.
    private(set) var code: String?
    /// Beside those that the properties above make.
    var fields = HeaderFields()

    init(status: Int = 200) { self.status = status }

    init(status: Int = 200, _ mediaType: MediaType, _ body: [UInt8]) {
        self.status = status
        self.mediaType = mediaType
        self.body = body
    }

    init(status: Int = 200, json: JSONWriter) {
        self.init(status: status, .json, Array(json.bytes))
    }

    init(_ error: APIError) {
        var json = JSONWriter()
        json.beginObject()
        json.write(error)
        json.endObject()
        self.init(status: error.status, json: json)
        code = error.code
        addFields(of: error)
    }

    /// What an error says beside its body.
    mutating func addFields(of error: APIError) {
        if let seconds = error.retryAfterSeconds { fields.add("Retry-After", String(seconds)) }
        if let challenge = error.challenge { fields.add("WWW-Authenticate", challenge) }
    }

    /// The answer to who has this already (RFC 9110 §15.4.5).
    var notModified: Answer {
        var answer = self
        answer.status = 304
        answer.mediaType = nil
        answer.body = []
        return answer
    }

    /// All fields that this answer is sent with.
    func allFields(for permission: Origins.Permission) -> HeaderFields {
        var all = HeaderFields(reserving: 256)
        if let mediaType { all.add("Content-Type", mediaType.rawValue) }
        all.add("X-Content-Type-Options", "nosniff")
        if let caching { all.add("Cache-Control", caching.rawValue) }
        if let etag { all.add("ETag", etag.text) }
        var vary = vary
        switch permission {
        case .anyPage:
            all.add("Access-Control-Allow-Origin", "*")
        case .page(let page):
            all.add("Access-Control-Allow-Origin", page)
            all.add("Access-Control-Allow-Credentials", "true")
            vary.insert(.origin)
        case .none:
            vary.insert(.origin)
        }
        if permission != .none {
            all.add("Access-Control-Expose-Headers", "ETag, Location, Retry-After, X-Request-Id")
        }
        if !vary.isEmpty { all.add("Vary", vary.names) }
        all.append(fields)
        return all
    }
}

extension Answer.Vary {
    fileprivate var names: String {
        var names: [String] = []
        if contains(.accept) { names.append("Accept") }
        if contains(.acceptEncoding) { names.append("Accept-Encoding") }
        if contains(.authorization) { names.append("Authorization") }
        if contains(.cookie) { names.append("Cookie") }
        if contains(.origin) { names.append("Origin") }
        return names.joined(separator: ", ")
    }
}

/// Header fields as they are sent, `Name: value\r\n` each.
struct HeaderFields {
    private(set) var bytes: [UInt8] = []

    init(reserving capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    /// - Parameter value: without control characters: nothing that a caller sent gets here unless
    ///   it was checked. One that does ends the process rather than split the answer.
    mutating func add(_ name: StaticString, _ value: String) {
        name.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: ":"))
        bytes.append(UInt8(ascii: " "))
        let start = bytes.count
        bytes.append(contentsOf: value.utf8)
        // Looked at as bytes of an array, which is several times faster than those of a string.
        precondition(
            bytes[start...].allSatisfy { $0 >= 0x20 && $0 != 0x7f }, "a field value would split")
        bytes.append(UInt8(ascii: "\r"))
        bytes.append(UInt8(ascii: "\n"))
    }

    mutating func append(_ other: HeaderFields) { bytes.append(contentsOf: other.bytes) }
}

extension JSONWriter {
    /// The member `error` of an answer.
    mutating func write(_ error: APIError) {
        name("error")
        beginObject()
        member("code", error.code)
        member("message", error.message)
        if let field = error.field { member("field", field) }
        endObject()
    }
}

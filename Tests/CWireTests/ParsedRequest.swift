import CWire

/// The answer to a head, copied out of the bytes it pointed into.
enum HeadAnswer: Equatable {
    case partial
    case refused(Int)
    case done(ParsedRequest)
}

struct ParsedRequest: Equatable {
    var method = PS_HTTP_GET
    var methodText = "GET"
    var target = "/"
    var path = "/"
    var query = ""
    var host = "h"
    var isVersion10 = false
    var keepAlive = true
    var chunked = false
    var expectsContinue = false
    var upgrade = false
    var contentLength: UInt64?
    var fields: [Field] = [Field("Host", "h")]
    var headBytes = 0

    struct Field: Equatable {
        let name: String
        let value: String

        init(_ name: String, _ value: String) {
            (self.name, self.value) = (name, value)
        }
    }
}

let usualLimits = ps_http_limits(
    request_line_bytes: 8192, head_bytes: 16384, field_count: UInt32(PS_HTTP_FIELDS_MAX))

/// Parses the first bytes, which end at an unreadable page.
func parseHead(
    _ bytes: some Collection<UInt8>, scanned: Int = 0, limits: ps_http_limits = usualLimits
) -> HeadAnswer {
    withParsedHead(bytes, scanned: scanned, limits: limits) { answer, head in
        switch answer {
        case PS_DONE.rawValue: .done(ParsedRequest(head))
        case PS_PARTIAL.rawValue: .partial
        default: .refused(Int(head.pointee.status))
        }
    }
}

func withParsedHead<Result>(
    _ bytes: some Collection<UInt8>, scanned: Int = 0, limits: ps_http_limits = usualLimits,
    _ body: (CInt, UnsafePointer<ps_http_head>) -> Result
) -> Result {
    withGuarded(bytes) { start in
        let head = UnsafeMutablePointer<ps_http_head>.allocate(capacity: 1)
        defer { head.deallocate() }
        var limits = limits
        let answer = ps_http_parse_head(head, start, bytes.count, scanned, &limits)
        return body(answer, head)
    }
}

/// Parses what has come at each of the ends in turn, until there is an answer.
func parseHead(
    _ bytes: [UInt8], endingAt ends: some Sequence<Int>, limits: ps_http_limits = usualLimits
) -> HeadAnswer {
    var scanned = 0
    for end in ends {
        let answer = parseHead(bytes[..<end], scanned: scanned, limits: limits)
        guard answer == .partial else { return answer }
        scanned = end
    }
    return .partial
}

func text(_ bytes: ps_bytes) -> String {
    String(decoding: UnsafeBufferPointer(start: bytes.start, count: bytes.count), as: UTF8.self)
}

extension ParsedRequest {
    init(_ head: UnsafePointer<ps_http_head>) {
        let parsed = head.pointee
        method = parsed.method
        methodText = text(parsed.method_text)
        target = text(parsed.target)
        path = text(parsed.path)
        query = text(parsed.query)
        host = text(parsed.host)
        isVersion10 = parsed.minor_version_is_0
        keepAlive = parsed.keep_alive
        chunked = parsed.chunked
        expectsContinue = parsed.expects_continue
        upgrade = parsed.upgrade
        contentLength = parsed.has_content_length ? parsed.content_length : nil
        fields = withUnsafeBytes(of: parsed.fields) { all in
            all.bindMemory(to: ps_http_field.self).prefix(Int(parsed.field_count))
                .map { Field(text($0.name), text($0.value)) }
        }
        headBytes = Int(parsed.head_bytes)
    }
}

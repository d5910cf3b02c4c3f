import Reactor

/// Names a request in its answer and in the log, in the field `X-Request-Id`: as who asks, or a proxy
/// before us, calls it; else a name that we make up where the log says something about it.
struct RequestID {
    let text: String

    /// Longer ones are none: a UUID takes 36, a trace's parent 55.
    static let byteLimit = 128

    /// 16 hexadecimal digits by chance.
    init() {
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        text = String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// - Returns: nil for what neither a field nor a log could repeat as it is.
    init?(_ field: UnsafeRawBufferPointer) {
        guard (1...Self.byteLimit).contains(field.count), field.allSatisfy(Self.isAllowed) else {
            return nil
        }
        text = String(decoding: field, as: UTF8.self)
    }

    /// What UUIDs, hashes, Base64 and trace parents are made of.
    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"):
            true
        default: "-_.:+/=~@".utf8.contains(byte)
        }
    }
}

/// A request or a message that was refused, as the log tells of it: by its route and not by its path,
/// which anybody may fill with anything.
package struct RefusedRequest: Sendable {
    /// As in the answer; of a message, its `ref`. nil: it had none.
    package var id: String?
    package var method: String
    package var route: String
    package var status: Int
    /// nil where the answer has none: the original API's.
    package var code: String?
}

extension Gateway {
    /// What is our fault is always told, but for a drain, which is meant to be; what is the client's
    /// where somebody looks for a fault.
    func isTold(status: Int, code: String?) -> Bool {
        if status >= 500 { return code != APIError.draining.code }
        return status >= 400 && doors.tellsRefusals()
    }

    /// Of a message over a live connection.
    func tellRefusal(_ error: APIError, reference: String?) {
        guard isTold(status: error.status, code: error.code) else { return }
        doors.tellRefused(
            RefusedRequest(
                id: reference, method: "message", route: "/ws/", status: error.status,
                code: error.code))
    }
}

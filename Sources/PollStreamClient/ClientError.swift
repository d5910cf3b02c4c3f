/// Why a call did not do what it was asked.
public enum ClientError: Error, Equatable, CustomStringConvertible {
    /// Not `http://HOST[:PORT]`. TLS ends at a proxy beside the client.
    case badURL(String)
    /// No connection could be made; nothing was sent.
    case unreachable(String)
    /// For a vote: nobody knows whether it counted; sending the same again is safe.
    case connectionLost(String)
    /// Nothing was answered in time. As `connectionLost` for a vote.
    case timedOut
    /// What came is not what PROTOCOL promises.
    case protocolViolated(String)
    /// The gateway's own refusal: HTTP status, error code, sentence, and how many seconds to wait
    /// before trying again where it said so.
    case refused(status: Int, code: String, message: String, retryAfterSeconds: Int?)

    public var description: String {
        switch self {
        case .badURL(let url): "\"\(url)\" is not a gateway; write it like http://127.0.0.1:8080"
        case .unreachable(let reason): "no gateway: \(reason)"
        case .connectionLost(let reason): "the connection was lost: \(reason)"
        case .timedOut: "the gateway did not answer in time"
        case .protocolViolated(let reason): "the gateway said what it must not: \(reason)"
        case .refused(let status, let code, let message, _): "\(status) \(code): \(message)"
        }
    }

    /// Whether the same call may succeed later.
    public var isTransient: Bool {
        switch self {
        case .unreachable, .connectionLost, .timedOut: true
        case .refused(let status, _, _, _): status == 429 || status == 503 || status == 504
        case .badURL, .protocolViolated: false
        }
    }
}

import Page
import Polls
import Reactor

/// What is done with a request, by what its path holds.
enum Handler: Sendable {
    case plain(@Sendable (Gateway) -> (borrowing Request, Exchange) -> Void)
    /// For `{id}`.
    case poll(@Sendable (Gateway) -> (borrowing Request, Exchange, PollID) -> Void)
    /// For `{code}`.
    case code(@Sendable (Gateway) -> (borrowing Request, Exchange, String) -> Void)
    case file(PageFile)
}

/// What stands in a path in place of `{id}` or `{code}`.
enum PathArgument: Equatable {
    case none
    case poll(PollID)
    case code(String)
}

/// One path and what is done there, method by method.
struct Route: Sendable {
    /// Literal, but for at most one `{id}` (a poll id as we write it) or `{code}` (letters and
    /// digits).
    let path: StaticString
    let service: Service
    private let handlers: [(method: Request.Method, handler: Handler)]

    init(
        _ path: StaticString, of service: Service = .polls,
        _ handlers: KeyValuePairs<Request.Method, Handler>
    ) {
        self.path = path
        self.service = service
        self.handlers = handlers.map { ($0.key, $0.value) }
    }

    /// HEAD is a GET whose body the reactor leaves out.
    func handler(for method: Request.Method) -> Handler? {
        let wanted: Request.Method = method == .head ? .get : method
        return handlers.first { $0.method == wanted }?.handler
    }

    /// Of the original platform: errors are in its words.
    var isOriginal: Bool { path.withUTF8Buffer { $0.starts(with: "/api/".utf8) } }

    /// For the Allow field.
    var allowedMethods: String {
        var names: [String] = []
        for (method, _) in handlers {
            names.append(method.name)
            if method == .get { names.append("HEAD") }
        }
        return (names + ["OPTIONS"]).joined(separator: ", ")
    }

    /// - Returns: nil where the path is another.
    func match(_ requested: UnsafeRawBufferPointer) -> PathArgument? {
        path.withUTF8Buffer { path in
            guard let brace = path.firstIndex(of: UInt8(ascii: "{")) else {
                return requested.elementsEqual(path) ? PathArgument.none : nil
            }
            // One placeholder, which ends at the next slash.
            let tail = path[brace...].drop { $0 != UInt8(ascii: "}") }.dropFirst()
            guard requested.count > brace + tail.count,
                requested[..<brace].elementsEqual(path[..<brace]),
                requested.suffix(tail.count).elementsEqual(tail)
            else { return nil }
            let argument = UnsafeRawBufferPointer(
                rebasing: requested[brace..<requested.count - tail.count])
            return path[brace + 1] == UInt8(ascii: "i")
                ? Route.pollID(argument) : Route.code(argument)
        }
    }

    private static func pollID(_ text: UnsafeRawBufferPointer) -> PathArgument? {
        // One poll has one path: no sign, no leading zero.
        guard text.first != UInt8(ascii: "0"), text.first != UInt8(ascii: "-"),
            let id = text.decimalInteger.flatMap(PollID.init)
        else { return nil }
        return .poll(id)
    }

    private static func code(_ text: UnsafeRawBufferPointer) -> PathArgument? {
        let isCode =
            text.count <= 32
            && text.allSatisfy {
                $0.decimalDigit != nil
                    || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0 | 0x20)
            }
        return isCode ? .code(String(decoding: text, as: UTF8.self)) : nil
    }
}

extension Gateway {
    /// Sends a request to its handler, or says why there is none.
    func route(_ request: borrowing Request, on connection: ConnectionID) {
        var exchange = Exchange(request, on: connection, of: self)
        if request.listener == .publicAPI, secrets == nil {
            var answer = Answer(.storageUnavailable)
            answer.closes = true
            return exchange.send(answer)
        }
        let path = request.path
        let routes = request.listener == .operations ? Routes.operations : publicRoutes
        for route in routes {
            guard let argument = route.match(path) else { continue }
            exchange.route = route.path
            if let handler = route.handler(for: request.method) {
                guard request.method.isSafe || isFromKnownPage(request) else {
                    return exchange.sendOriginNotAllowed(route)
                }
                return handle(request, exchange, with: handler, argument)
            }
            return request.method == .options
                ? exchange.sendOptions(of: route, to: request)
                : exchange.sendMethodNotAllowed(route, request.method)
        }
        switch request.method {
        case .options where path.isEqual(to: "*"):
            var answer = Answer(status: 204)
            answer.fields.add("Allow", Routes.everyMethod)
            exchange.send(answer)
        case .connect: exchange.sendMethodNotAllowed()
        default:
            // No path of ours needs an escape, so none is decoded: what has one is not here.
            exchange.send(PercentEncoding.isWellFormed(path) ? .notFound : .malformedRequest)
        }
    }

    private func handle(
        _ request: borrowing Request, _ exchange: Exchange, with handler: Handler,
        _ argument: PathArgument
    ) {
        switch (handler, argument) {
        case (.file(let file), _): send(file, request, exchange)
        case (.plain(let handle), _): handle(self)(request, exchange)
        case (.poll(let handle), .poll(let id)): handle(self)(request, exchange, id)
        case (.code(let handle), .code(let code)): handle(self)(request, exchange, code)
        default: preconditionFailure("a route's handler does not fit its path")
        }
    }

    /// False only of pages that are on no list, where there is one. Their browsers keep answers from
    /// them, and only the gateway can keep what they ask from being done.
    func isFromKnownPage(_ request: borrowing Request) -> Bool {
        request.listener == .operations || origins.allowed == nil || allowsOrigin(of: request)
    }

    func allowsOrigin(of request: borrowing Request) -> Bool {
        origins.allows(
            from: request.field("origin"), count: request.fieldCount("origin"), host: request.host)
    }

}

extension Exchange {
    fileprivate func sendMethodNotAllowed(_ route: Route, _ method: Request.Method) {
        var answer =
            route.isOriginal
            ? Answer(OriginalFailure(405, "Method \"\(method.name)\" not allowed."))
            : Answer(APIError.methodNotAllowed)
        answer.fields.add("Allow", route.allowedMethods)
        send(answer)
    }

    fileprivate func sendOriginNotAllowed(_ route: Route) {
        let error = APIError.originNotAllowed
        send(route.isOriginal ? Answer(OriginalFailure(error)) : Answer(error))
    }

    fileprivate func sendMethodNotAllowed() {
        var answer = Answer(APIError.methodNotAllowed)
        answer.fields.add("Allow", Routes.everyMethod)
        send(answer)
    }

    /// What may be done here; to a preflight, what a page may (Fetch, "CORS-preflight request").
    fileprivate func sendOptions(of route: Route, to request: borrowing Request) {
        var answer = Answer(status: 204)
        answer.fields.add("Allow", route.allowedMethods)
        if request.field("access-control-request-method") != nil, permission != .none {
            answer.fields.add("Access-Control-Allow-Methods", route.allowedMethods)
            answer.fields.add(
                "Access-Control-Allow-Headers",
                "Authorization, Content-Type, If-None-Match, Last-Event-ID, Prefer, X-Request-Id")
            answer.fields.add("Access-Control-Max-Age", "600")
        }
        send(answer)
    }
}

extension Request.Method {
    /// Changes nothing (RFC 9110 §9.2.1).
    fileprivate var isSafe: Bool {
        switch self {
        case .get, .head, .options, .trace: true
        default: false
        }
    }

    var name: String {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .patch: "PATCH"
        case .delete: "DELETE"
        case .options: "OPTIONS"
        case .connect: "CONNECT"
        case .trace: "TRACE"
        case .other: ""
        }
    }
}

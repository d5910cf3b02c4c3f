import CHiredis
import Glibc
import Threads

/// A connection to Redis that blocks, with a limit for each call. For one thread; the only place
/// that knows hiredis. After an error it is of no more use.
package final class RedisConnection {
    /// Why it cannot be used.
    package struct Failure: Error, Equatable {
        package let reason: String

        package init(reason: String) { self.reason = reason }
    }

    /// Of a reply (RESP2), what pub/sub answers with.
    package enum Reply: Equatable {
        case bytes([UInt8])
        case integer(Int64)
        case list([Reply])
        case none
        /// The server's word for what it did not do.
        case error(String)
    }

    /// For connecting, for a write, and for a reply that is waited for.
    static let limit: Duration = .seconds(2)

    private let context: UnsafeMutablePointer<redisContext>

    /// Connects, proves who it is and chooses the database. Blocks for up to some limits.
    init(_ target: RedisTarget) throws(Failure) {
        let limit = timeval(tv_sec: Int(Self.limit.components.seconds), tv_usec: 0)
        let context =
            switch target.address {
            case .host(let host, let port): redisConnectWithTimeout(host, port, limit)
            case .path(let path): redisConnectUnixWithTimeout(path, limit)
            }
        guard let context else { throw Failure(reason: "out of memory") }
        self.context = context
        guard context.pointee.err == 0, redisSetTimeout(context, limit) == REDIS_OK else {
            throw failure
        }
        if case .host = target.address { _ = redisEnableKeepAlive(context) }
        if let password = target.password {
            try expectOK(
                "AUTH", [target.user, password].compactMap { $0.map { Array($0.utf8) } },
                secret: password)
        }
        if target.database != 0 {
            try expectOK("SELECT", [Array("\(target.database)".utf8)])
        }
        // A server that wants a password says so to the first command.
        try expectOK("PING", [])
    }

    deinit { redisFree(context) }

    var descriptor: Int32 { context.pointee.fd }

    /// Keeps a command until `flush`. - Parameter words: the command's name and its arguments.
    func append(_ words: [[UInt8]]) throws(Failure) {
        // One block for all words, as hiredis wants pointers to each.
        var bytes: [UInt8] = []
        bytes.reserveCapacity(words.reduce(0) { $0 + $1.count })
        for word in words { bytes += word }
        let result = bytes.withUnsafeBufferPointer { bytes in
            var pointers: [UnsafePointer<CChar>?] = []
            var offset = 0
            for word in words {
                pointers.append(
                    bytes.baseAddress.map {
                        UnsafeRawPointer($0 + offset).assumingMemoryBound(to: CChar.self)
                    })
                offset += word.count
            }
            return redisAppendCommandArgv(
                context, Int32(words.count), &pointers, words.map(\.count))
        }
        guard result == REDIS_OK else { throw failure }
    }

    /// Writes all that is kept. Blocks while the server does not read, for up to the limit.
    func flush() throws(Failure) {
        var isDone: Int32 = 0
        while isDone == 0 {
            guard redisBufferWrite(context, &isDone) == REDIS_OK else { throw failure }
        }
    }

    /// Waits for the next reply, for up to the limit. - Throws: also where none came.
    func reply() throws(Failure) -> Reply {
        var reply: UnsafeMutableRawPointer?
        guard redisGetReply(context, &reply) == REDIS_OK, let reply else { throw failure }
        defer { freeReplyObject(reply) }
        return Reply(reply.assumingMemoryBound(to: redisReply.self).pointee)
    }

    /// Reads what the socket holds, once, and hands over the replies that are whole. Blocks where
    /// the socket is not readable.
    func read(_ take: (Reply) -> Void) throws(Failure) {
        guard redisBufferRead(context) == REDIS_OK else { throw failure }
        while true {
            var reply: UnsafeMutableRawPointer?
            guard redisGetReplyFromReader(context, &reply) == REDIS_OK else { throw failure }
            guard let reply else { return }
            defer { freeReplyObject(reply) }
            take(Reply(reply.assumingMemoryBound(to: redisReply.self).pointee))
        }
    }

    /// - Parameter secret: an argument that nobody is to read: some servers repeat what they do not know,
    ///   or a part of it.
    private func expectOK(
        _ name: String, _ arguments: [[UInt8]], secret: String? = nil
    ) throws(Failure) {
        try append([Array(name.utf8)] + arguments)
        try flush()
        guard case .error(var reason) = try reply() else { return }
        if let secret, reason.contains(secret) || reason.contains("with args") {
            reason = reason.prefix { $0 != " " } + " (what it says repeats the password)"
        }
        throw Failure(reason: "\(name): \(reason)")
    }

    private var failure: Failure {
        let reason = String(cString: ps_redis_error(context))
        return Failure(reason: reason.isEmpty ? "the connection was lost" : reason)
    }
}

extension RedisConnection.Reply {
    fileprivate init(_ reply: redisReply) {
        switch reply.type {
        case REDIS_REPLY_STRING, REDIS_REPLY_STATUS: self = .bytes(Self.bytes(of: reply))
        case REDIS_REPLY_INTEGER: self = .integer(reply.integer)
        case REDIS_REPLY_ERROR:
            self = .error(String(decoding: Self.bytes(of: reply), as: UTF8.self))
        case REDIS_REPLY_ARRAY:
            self = .list(
                (0..<reply.elements).map { index in
                    reply.element[index].map { Self($0.pointee) } ?? .none
                })
        default: self = .none
        }
    }

    private static func bytes(of reply: redisReply) -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: reply.str, count: Int(reply.len)))
    }
}

extension Relay {
    /// Why Redis cannot be used; nil where it can. Blocks for up to some limits.
    package static func refusal(of target: RedisTarget) -> String? {
        do throws(RedisConnection.Failure) {
            _ = try RedisConnection(target)
            return nil
        } catch {
            return error.reason
        }
    }
}

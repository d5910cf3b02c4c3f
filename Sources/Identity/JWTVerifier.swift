import JSON
import Synchronization
import Threads

/// Checks JWTs (RFC 7519) in the compact form of JWS (RFC 7515), by RFC 8725's advice: keys fix
/// algorithms, nothing in a token's header is fetched or believed, everything is checked. Any thread.
///
/// A verification costs 20 to 150 µs of the calling thread, by the kind of the key.
package final class JWTVerifier: @unchecked Sendable {
    /// A longer one is refused unread.
    package static let tokenByteLimit = 8_192
    /// How far clocks may differ.
    package static let leewaySeconds: Int64 = 30

    private let issuer: String?
    private let audience: String?
    // Guarded by `monitor`: replaced while loops verify.
    private let monitor = Monitor()
    private var keys: [JWTKey]
    private let refusals = Refusals()

    /// - Parameters:
    ///   - files: whose keys may have signed.
    ///   - issuer: nil: any.
    ///   - audience: nil: only tokens that are for nobody in particular (RFC 7519 §4.1.3).
    package init(_ files: [JWTKeyFile], issuer: String?, audience: String?) {
        self.issuer = issuer
        self.audience = audience
        keys = files.flatMap(\.keys)
    }

    /// Tokens of keys that are in none of these files are refused from here on.
    package func replaceKeys(_ files: [JWTKeyFile]) {
        let keys = files.flatMap(\.keys)
        monitor.withLock { self.keys = keys }
    }

    /// How many tokens were refused, by reason.
    package var refusalCounts: [(reason: JWTRefusal, count: UInt64)] { refusals.counts }

    /// - Parameters:
    ///   - token: in the compact form, as it came.
    ///   - unixSeconds: now.
    /// - Throws: the first reason to refuse it, which is counted, and which no client is told.
    package func verify(_ token: UnsafeRawBufferPointer, at unixSeconds: Int64)
        throws(JWTRefusal) -> JWTSubject
    {
        do throws(JWTRefusal) {
            let parts = try CompactToken(token)
            let document = JSONDocument(valueCapacity: 1_024)
            let (algorithm, keyID) = try Self.header(parts.header, document)
            let isSigned = candidates(algorithm, keyID).contains { key in
                parts.signature.withUnsafeBytes { key.isSignature($0, of: parts.signed) }
            }
            guard isSigned else { throw .signature }
            return try claims(parts.payload, document, at: unixSeconds)
        } catch {
            refusals.count(error)
            throw error
        }
    }

    private static func header(_ bytes: [UInt8], _ document: JSONDocument) throws(JWTRefusal)
        -> (JWTAlgorithm, keyID: String?)
    {
        try bytes.withUnsafeBufferPointer { (bytes) throws(JWTRefusal) in
            guard let header = try? document.parse(UnsafeRawBufferPointer(bytes)),
                header.kind == .object
            else {
                throw .malformed
            }
            // What is critical is an extension that we do not know (RFC 7515 §4.1.11).
            guard header["crit"].kind == .missing else { throw .critical }
            guard let name = try? header["alg"].string, let algorithm = JWTAlgorithm(rawValue: name)
            else { throw .algorithm }
            guard header["kid"].kind != .missing else { return (algorithm, nil) }
            guard let keyID = try? header["kid"].string else { throw .malformed }
            return (algorithm, keyID)
        }
    }

    /// The keys a token may be signed with: those that it names, else those without a name.
    private func candidates(_ algorithm: JWTAlgorithm, _ keyID: String?) -> [JWTKey] {
        let keys = monitor.withLock { self.keys }.filter { $0.algorithm == algorithm }
        guard let keyID else { return keys }
        let named = keys.filter { $0.id?.isSame(as: keyID) ?? false }
        return named.isEmpty ? keys.filter { $0.id == nil } : named
    }

    private func claims(_ bytes: [UInt8], _ document: JSONDocument, at now: Int64)
        throws(JWTRefusal) -> JWTSubject
    {
        try bytes.withUnsafeBufferPointer { (bytes) throws(JWTRefusal) in
            guard let claims = try? document.parse(UnsafeRawBufferPointer(bytes)),
                claims.kind == .object
            else {
                throw .malformed
            }
            let expiresAt = try claims["exp"].numericDate.map { $0 + Self.leewaySeconds }
            if let expiresAt, now >= expiresAt { throw .expired }
            if let notBefore = try claims["nbf"].numericDate, now < notBefore - Self.leewaySeconds {
                throw .notYetValid
            }
            if let issuer {
                guard let named = try? claims["iss"].string, named.isSame(as: issuer) else {
                    throw .issuer
                }
            }
            guard isForUs(claims["aud"]) else { throw .audience }
            guard let subject = try? claims["sub"].string,
                (1...200).contains(subject.unicodeScalars.count)
            else { throw .subject }
            return JWTSubject(name: subject, expiresAt: expiresAt)
        }
    }

    /// Whether we are among those whom a token is for.
    private func isForUs(_ named: JSONValue) -> Bool {
        guard named.kind != .missing else { return audience == nil }
        guard let audience else { return false }
        if let name = try? named.string { return name.isSame(as: audience) }
        guard let names = try? named.elements else { return false }
        return names.contains { (try? $0.string)?.isSame(as: audience) ?? false }
    }
}

/// Whom a valid token names.
package struct JWTSubject: Equatable, Sendable {
    package let name: String
    /// Unix seconds, with the leeway; nil: never.
    package let expiresAt: Int64?

    package init(name: String, expiresAt: Int64?) {
        self.name = name
        self.expiresAt = expiresAt
    }
}

/// Why a token is refused. Its sender is told nothing of it; the operator sees how often.
package enum JWTRefusal: String, Error, CaseIterable, Sendable {
    case malformed, algorithm, critical, signature, expired
    case notYetValid = "not_yet_valid"
    case issuer, audience, subject
}

/// The three parts of a compact JWS, decoded.
private struct CompactToken {
    let header: [UInt8]
    let payload: [UInt8]
    let signature: [UInt8]
    /// The header and the payload as they were sent, with the dot between them.
    let signed: UnsafeRawBufferPointer

    init(_ token: UnsafeRawBufferPointer) throws(JWTRefusal) {
        guard token.count <= JWTVerifier.tokenByteLimit else { throw .malformed }
        let dots = token.indices.filter { token[$0] == UInt8(ascii: ".") }
        guard dots.count == 2 else { throw .malformed }
        func decoded(_ range: Range<Int>) throws(JWTRefusal) -> [UInt8] {
            guard !range.isEmpty,
                let bytes = Base64URL.decode(UnsafeRawBufferPointer(rebasing: token[range]))
            else { throw .malformed }
            return bytes
        }
        header = try decoded(0..<dots[0])
        payload = try decoded(dots[0] + 1..<dots[1])
        signature = try decoded(dots[1] + 1..<token.count)
        signed = UnsafeRawBufferPointer(rebasing: token[..<dots[1]])
    }
}

/// Counters, one a reason.
private final class Refusals: Sendable {
    private let counters = JWTRefusal.allCases.map { _ in Counter() }

    private final class Counter: Sendable {
        let value = Atomic<UInt64>(0)
    }

    func count(_ refusal: JWTRefusal) {
        counters[JWTRefusal.allCases.firstIndex(of: refusal)!].value
            .wrappingAdd(1, ordering: .relaxed)
    }

    var counts: [(reason: JWTRefusal, count: UInt64)] {
        zip(JWTRefusal.allCases, counters).map { ($0, $1.value.load(ordering: .relaxed)) }
    }
}

extension JSONValue {
    /// Seconds since 1970, whole (RFC 7519 §2: a fraction is allowed); nil where it is missing.
    fileprivate var numericDate: Int64? {
        get throws(JWTRefusal) {
            guard kind != .missing else { return nil }
            guard kind == .number,
                let seconds = Double(String(decoding: text, as: UTF8.self)),
                // Until the year 9999: so sums stay small.
                (0...253_402_300_799).contains(seconds)
            else { throw .malformed }
            return Int64(seconds)
        }
    }
}

extension String {
    /// Byte by byte: Swift takes different spellings of one character for the same.
    fileprivate func isSame(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}

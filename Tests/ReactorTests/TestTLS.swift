import CTestTLS
import Glibc
import Reactor

/// `POLLSTREAM_TEST_TRANSPORT=tls` runs every test once more with TLS on the public listener.
enum TestTransport {
    static let isTLS =
        getenv("POLLSTREAM_TEST_TRANSPORT").map { String(cString: $0) } == "tls"

    /// What a test that does not care gets.
    static var context: TLSContext? { isTLS ? TestCertificates.shared.context : nil }
    static func makePeer() -> TLSPeer? {
        isTLS ? TLSPeer(authority: TestCertificates.shared.authority, serverName: "test") : nil
    }
}

/// An authority and a certificate for "test", made once.
final class TestCertificates: Sendable {
    static let shared = TestCertificates()
    let context: TLSContext
    /// PEM.
    let authority: String

    private init() {
        let files = CertificateFolder()
        authority = files.authority
        do {
            context = try TLSContext([files.make("test")])
        } catch {
            preconditionFailure("\(error)")
        }
    }
}

/// A temporary folder with an authority, and what it signs. It goes away with this object.
final class CertificateFolder {
    let path: String
    let authority: String

    init() {
        var template = Array("/tmp/pollstream-tls-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template)!)
        precondition(
            Self.write(
                certificate: "\(path)/authority.pem", key: "\(path)/authority.key",
                name: "an authority", alternatives: nil, issuer: nil, validFrom: -3_600,
                until: 3_600, passphrase: nil))
        authority = Self.read("\(path)/authority.pem")
    }

    deinit {
        for name in Self.names(in: path) { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    /// Makes a certificate and its key; a second one of this name takes the place of the first.
    /// - Parameters:
    ///   - alternatives: the names it is valid for; its own, where nothing else is said.
    ///   - validFrom: seconds from now, like `until`.
    func make(
        _ name: String, alternatives: [String]? = nil, validFrom: Int64 = -3_600,
        until: Int64 = 3_600, passphrase: String? = nil
    ) -> CertificateFiles {
        let files = CertificateFiles(
            certificatePath: "\(path)/\(name).pem", keyPath: "\(path)/\(name).key")
        let names = (alternatives ?? [name]).map { "DNS:\($0)" }.joined(separator: ",")
        precondition(
            Self.write(
                certificate: files.certificatePath, key: files.keyPath, name: name,
                alternatives: names, issuer: path, validFrom: validFrom, until: until,
                passphrase: passphrase))
        return files
    }

    func write(_ text: String, to name: String) -> String {
        let file = fopen("\(path)/\(name)", "w")!
        fputs(text, file)
        fclose(file)
        return "\(path)/\(name)"
    }

    static func read(_ path: String) -> String {
        let file = fopen(path, "r")!
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    private static func names(in path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                    names.append(String(cString: $0))
                }
            }
        }
        return names
    }

    private static func write(
        certificate: String, key: String, name: String, alternatives: String?, issuer: String?,
        validFrom: Int64, until: Int64, passphrase: String?
    ) -> Bool {
        let issuerPath = issuer.map { "\($0)/authority.pem" }
        let issuerKeyPath = issuer.map { "\($0)/authority.key" }
        return withCStrings([
            certificate, key, name, alternatives, issuerPath, issuerKeyPath, passphrase,
        ]) { texts in
            var options = tls_certificate_options(
                certificate_path: texts[0], key_path: texts[1], name: texts[2],
                alternatives: texts[3], issuer_path: texts[4], issuer_key_path: texts[5],
                from_s: validFrom, until_s: until, passphrase: texts[6])
            return tls_make_certificate(&options)
        }
    }
}

/// A client's side of a TLS session, without a socket: a test carries the bytes, and may cut them.
final class TLSPeer {
    enum Version: Int32 { case tls11 = 0x0302, tls12 = 0x0303, tls13 = 0x0304 }
    enum Step { case done, more, failed }
    enum Input: Equatable { case bytes([UInt8]), more, end, failed }

    private let client: OpaquePointer

    /// - Parameters:
    ///   - authority: PEM; nil: any certificate is taken.
    ///   - serverName: what is asked for, and what the certificate must be valid for.
    ///   - protocols: for ALPN.
    ///   - version: this one and no other.
    init(
        authority: String? = nil, serverName: String? = nil, protocols: [String] = [],
        version: Version? = nil, ciphers: String? = nil, session: TLSSession? = nil
    ) {
        let wire = protocols.map { "\(Character(UnicodeScalar(UInt8($0.utf8.count))))\($0)" }
        client = withCStrings([
            authority, serverName, protocols.isEmpty ? nil : wire.joined(), ciphers,
        ]) { texts in
            var options = tls_client_options(
                authority: texts[0], server_name: texts[1], protocols: texts[2],
                lowest_version: version?.rawValue ?? 0, highest_version: version?.rawValue ?? 0,
                ciphers: texts[3], session: session?.handle)
            guard let client = tls_client_create(&options) else {
                preconditionFailure("a client that OpenSSL refuses")
            }
            return client
        }
    }

    deinit { tls_client_destroy(client) }

    func shakeHands() -> Step {
        switch tls_client_shake_hands(client) {
        case 1: .done
        case Int32(TLS_MORE): .more
        default: .failed
        }
    }

    /// What is to go to the server.
    func take() -> [UInt8] {
        var bytes: [UInt8] = []
        var some = [UInt8](repeating: 0, count: 16 << 10)
        while case let count = tls_client_take(client, &some, some.count), count > 0 {
            bytes += some[..<count]
        }
        return bytes
    }

    func give(_ bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes)
        tls_client_give(client, bytes, bytes.count)
    }

    /// The records that carry `bytes`.
    func encrypt(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        let bytes = Array(bytes)
        if !bytes.isEmpty, tls_client_write(client, bytes, bytes.count) != 1 { return [] }
        return take()
    }

    func read() -> Input {
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        switch tls_client_read(client, &bytes, bytes.count) {
        case 0: return .end
        case Int32(TLS_MORE): return .more
        case let count where count > 0: return .bytes(Array(bytes[..<Int(count)]))
        default: return .failed
        }
    }

    /// The record that says that nothing follows.
    func finish() -> [UInt8] {
        tls_client_finish(client)
        return take()
    }

    func renegotiate() -> [UInt8]? { tls_client_renegotiate(client) == 1 ? take() : nil }
    func updateKeys() -> [UInt8]? { tls_client_update_keys(client) == 1 ? take() : nil }

    /// In OpenSSL's words; empty where nothing failed.
    var error: String { String(cString: tls_client_error(client)) }
    var version: Version? { Version(rawValue: tls_client_version(client)) }
    var isResumed: Bool { tls_client_resumed(client) }
    var compresses: Bool { tls_client_compresses(client) }

    /// Whose certificate the server showed.
    var serverCertificateName: String? { text { tls_client_peer_name(client, $0, $1) } }
    var agreedProtocol: String? { text { tls_client_protocol(client, $0, $1) } }

    /// To be resumed by another peer; nil where the server has offered none (yet).
    func session() -> TLSSession? { tls_client_session(client).map(TLSSession.init) }

    private func text(_ read: (UnsafeMutablePointer<CChar>, Int) -> Bool) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) {
            read($0.baseAddress!, $0.count) ? String(cString: $0.baseAddress!) : nil
        }
    }
}

final class TLSSession {
    fileprivate let handle: OpaquePointer

    fileprivate init(_ handle: OpaquePointer) { self.handle = handle }

    deinit { tls_session_destroy(handle) }
}

/// Lends texts to C; NULL for nil.
private func withCStrings<R>(_ texts: [String?], _ body: ([UnsafePointer<CChar>?]) -> R) -> R {
    let copies = texts.map { $0.flatMap { strdup($0) } }
    defer { for copy in copies { free(copy) } }
    return body(copies.map { $0.map { UnsafePointer($0) } })
}

import Glibc
import Identity
import Telemetry

/// A file that was read at the start, and is read again when told.
struct KeyFile<Content: Sendable>: Sendable {
    let path: String
    let content: Content
    private let make: @Sendable ([UInt8]) throws(KeyFileError) -> Content

    init(path: String, make: @escaping @Sendable ([UInt8]) throws(KeyFileError) -> Content)
        throws(BadValue)
    {
        self.path = path
        self.make = make
        content = try Self.read(path, make)
    }

    /// As it is on disk by now. - Throws: what is wrong with it, after its name.
    func readAgain() throws(BadValue) -> Content {
        do {
            return try Self.read(path, make)
        } catch {
            throw BadValue("\(path) \(error.reason)")
        }
    }

    private static func read(_ path: String, _ make: ([UInt8]) throws(KeyFileError) -> Content)
        throws(BadValue) -> Content
    {
        let bytes: [UInt8]
        do {
            bytes = try Host.contents(of: path)
        } catch {
            throw BadValue(error.reason)
        }
        do {
            return try make(bytes)
        } catch {
            throw BadValue(error.reason)
        }
    }
}

/// What the keys of voters are taken from.
struct KeySettings: Sendable {
    /// nil: the store has a key.
    var voterFile: KeyFile<VoterKeyFile>?
    var jwtFiles: [KeyFile<JWTKeyFile>] = []
    var issuer: String?
    var audience: String?
}

/// The keys of voters at work: who signs and checks with them, and how the files are read again.
struct Keys {
    /// nil: the store's own key signs.
    let voterTokens: VoterTokenSigner?
    /// nil: no JWT is valid.
    let jwt: JWTVerifier?
    let files: [Reloadable]

    init(_ settings: KeySettings) {
        var files: [Reloadable] = []
        voterTokens = settings.voterFile.map { file in
            let tokens = VoterTokenSigner(keys: file.content.keys)
            files.append(
                Reloadable(name: "voter keys") { () throws(BadValue) in
                    let keys = try file.readAgain().keys
                    tokens.replaceKeys(keys)
                    return "\(keys.count)"
                })
            return tokens
        }
        if settings.jwtFiles.isEmpty {
            jwt = nil
        } else {
            let verifier = JWTVerifier(
                settings.jwtFiles.map(\.content), issuer: settings.issuer,
                audience: settings.audience)
            files.append(
                Reloadable(name: "JWT keys") { () throws(BadValue) in
                    let contents = try settings.jwtFiles.map { (file) throws(BadValue) in
                        try file.readAgain()
                    }
                    verifier.replaceKeys(contents)
                    return contents.map(\.description).joined(separator: "; ")
                })
            jwt = verifier
        }
        self.files = files
    }

    func write(to text: inout MetricsText) {
        guard let jwt else { return }
        text.counter(
            "pollstream_jwt_refused_total", "JWTs that were refused.", by: "reason",
            jwt.refusalCounts.map { ($0.reason.rawValue, $0.count) })
    }
}

extension Value {
    static func voterKeys(_ path: String) throws(BadValue) -> KeyFile<VoterKeyFile> {
        try KeyFile(path: path) { (bytes) throws(KeyFileError) in try VoterKeyFile(bytes) }
    }

    static func jwtKeys(_ path: String) throws(BadValue) -> KeyFile<JWTKeyFile> {
        try KeyFile(path: path) { (bytes) throws(KeyFileError) in try JWTKeyFile(bytes) }
    }

    /// Anything but nothing.
    static func text(_ text: String) throws(BadValue) -> String {
        if text.isEmpty { throw BadValue("is empty") }
        return text
    }
}

/// Why a file is not read, to follow its name.
struct FileError: Error {
    let reason: String
}

extension Host {
    /// Files of keys are far below it.
    private static let contentByteLimit = 1 << 20

    /// Blocks as long as the file system does.
    static func contents(of path: String) throws(FileError) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw FileError(reason: systemReason("cannot be opened")) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(file, &buffer, buffer.count)
            if count == 0 { return bytes }
            guard count > 0 else { throw FileError(reason: systemReason("cannot be read")) }
            bytes += buffer.prefix(count)
            guard bytes.count <= contentByteLimit else {
                throw FileError(reason: "is larger than 1 MiB")
            }
        }
    }

    private static func systemReason(_ what: String) -> String {
        "\(what): \(String(cString: strerror(errno)))"
    }
}

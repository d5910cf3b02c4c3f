import JSON

/// The keys of a file that `--jwt-key` names: PEM public keys, a JWK or a set of them, or a secret.
package struct JWTKeyFile: Sendable {
    /// More would let a token that names none cost too much.
    static let keyLimit = 16

    let keys: [JWTKey]
    /// Why keys of a set were passed over (RFC 7517 §5).
    let ignored: [String]

    /// What the bytes are is told by themselves, and never guessed: whatever looks like a key is
    /// read as one or refused, and only one line of text that does not is a secret.
    /// - Throws: `KeyFileError` where something in it is wrong, or nothing can be used.
    package init(_ bytes: [UInt8]) throws(KeyFileError) {
        do throws(BadKey) {
            let trimmed = bytes.trimmingBlanks
            if trimmed.first == UInt8(ascii: "{") {
                (keys, ignored) = try Self.keys(json: Array(trimmed))
            } else if trimmed.contains(Array("-----".utf8)) {
                keys = try PublicKey.all(pem: bytes).map { JWTKey($0, id: nil) }
                ignored = []
            } else {
                keys = [try JWTKey(secret: Self.secret(bytes), id: nil)]
                ignored = []
            }
            guard keys.count <= Self.keyLimit else {
                throw BadKey("holds \(keys.count) keys; up to \(Self.keyLimit) are taken")
            }
        } catch {
            throw KeyFileError(reason: error.reason)
        }
    }

    /// As the log tells it; nothing secret.
    package var description: String {
        let used = keys.map { key in
            key.algorithm.rawValue + (key.id.map { " \($0)" } ?? "")
        }
        return (used + ignored.map { "ignored: \($0)" }).joined(separator: ", ")
    }

    private static func secret(_ text: [UInt8]) throws(BadKey) -> [UInt8] {
        var text = text[...]
        // An editor's newline is not meant.
        if text.last == UInt8(ascii: "\n") { text.removeLast() }
        if text.last == UInt8(ascii: "\r") { text.removeLast() }
        guard !text.isEmpty else { throw BadKey("is empty") }
        guard text.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            throw BadKey(
                "is no PEM, no JWK and no secret of one printable line (openssl rand -base64 48)")
        }
        // A public key without its PEM frame would let everybody sign who can read it.
        if let der = Base64.decode(Array(text)), PublicKey.isKeyMaterial(der: der) {
            throw BadKey("is a key without its PEM frame; add the BEGIN and END lines")
        }
        return Array(text)
    }

    private static func keys(json text: [UInt8]) throws(BadKey) -> ([JWTKey], [String]) {
        let document = JSONDocument(valueCapacity: 4_096)
        return try text.withUnsafeBufferPointer { (text) throws(BadKey) in
            guard let root = try? document.parse(UnsafeRawBufferPointer(text)) else {
                throw BadKey("is no JSON, or has a member twice")
            }
            guard root["keys"].kind != .missing else {
                return ([try JWTKey(jwk: root)], [])
            }
            guard let elements = try? root["keys"].elements else {
                throw BadKey("has no array of keys")
            }
            var keys: [JWTKey] = []
            var ignored: [String] = []
            for element in elements {
                do throws(BadKey) {
                    keys.append(try JWTKey(jwk: element))
                } catch {
                    ignored.append(error.reason)
                }
            }
            guard !keys.isEmpty else {
                let reasons = ignored.isEmpty ? "it is empty" : ignored.joined(separator: "; ")
                throw BadKey("holds no key that can be used: \(reasons)")
            }
            return (keys, ignored)
        }
    }
}

extension JWTKey {
    /// A JWK (RFC 7517 §4) that is there to verify signatures.
    fileprivate init(jwk: JSONValue) throws(BadKey) {
        guard let type = jwk.text(of: "kty") else { throw BadKey("has no kty") }
        let id = try jwk.optionalText(of: "kid")
        if let use = try jwk.optionalText(of: "use"), use != "sig" {
            throw BadKey("is not for signatures")
        }
        if jwk["key_ops"].kind != .missing {
            guard let operations = try? jwk["key_ops"].elements,
                operations.contains(where: { (try? $0.string) == "verify" })
            else { throw BadKey("is not to verify with") }
        }
        // Who publishes a private key by mistake has to hear of it.
        if type != "oct", jwk["d"].kind != .missing { throw BadKey("is a private key") }
        switch type {
        case "oct":
            try self.init(secret: jwk.bytes(of: "k"), id: id)
        case "RSA":
            self.init(
                try PublicKey.rsa(modulus: jwk.bytes(of: "n"), exponent: jwk.bytes(of: "e")), id: id
            )
        case "EC":
            guard jwk.text(of: "crv") == "P-256" else { throw BadKey("is on another curve") }
            self.init(try PublicKey.p256(x: jwk.bytes(of: "x"), y: jwk.bytes(of: "y")), id: id)
        case "OKP":
            guard jwk.text(of: "crv") == "Ed25519" else { throw BadKey("is on another curve") }
            self.init(try PublicKey.ed25519(x: jwk.bytes(of: "x")), id: id)
        default:
            throw BadKey("is of another type")
        }
        if let name = try jwk.optionalText(of: "alg"), name != algorithm.rawValue {
            throw BadKey("is for another algorithm")
        }
    }
}

extension JSONValue {
    fileprivate func text(of name: StaticString) -> String? { try? self[name].string }

    /// nil where it is missing; what is there must be a string.
    fileprivate func optionalText(of name: StaticString) throws(BadKey) -> String? {
        guard self[name].kind != .missing else { return nil }
        guard let text = text(of: name) else { throw BadKey("has a \(name) that is no string") }
        return text
    }

    fileprivate func bytes(of name: StaticString) throws(BadKey) -> [UInt8] {
        guard var text = text(of: name), !text.isEmpty,
            let bytes = text.withUTF8({ Base64URL.decode(UnsafeRawBufferPointer($0)) })
        else { throw BadKey("has no \(name) in base64url") }
        return bytes
    }
}

/// Base64 with either alphabet, padded or not: to recognise what should not be here.
private enum Base64 {
    static func decode(_ text: [UInt8]) -> [UInt8]? {
        let url = text.filter { $0 != UInt8(ascii: "=") }.map { byte in
            switch byte {
            case UInt8(ascii: "+"): UInt8(ascii: "-")
            case UInt8(ascii: "/"): UInt8(ascii: "_")
            default: byte
            }
        }
        return url.withUnsafeBytes { Base64URL.decode($0) }
    }
}

extension [UInt8] {
    fileprivate var trimmingBlanks: ArraySlice<UInt8> {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
        let start = drop(while: isBlank)
        guard let last = start.lastIndex(where: { !isBlank($0) }) else { return [] }
        return start[...last]
    }
}

extension ArraySlice<UInt8> {
    fileprivate func contains(_ other: [UInt8]) -> Bool {
        indices.contains { self[$0...].starts(with: other) }
    }
}

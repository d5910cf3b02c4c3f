/// What a voter types to find a poll.
package enum JoinCode {
    package static let length = 6

    /// Digits and capitals without those that are mistaken for another when read or heard
    /// (0 and O; 1, I and L; U, heard or read as V).
    package static let alphabet = Array("23456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

    /// One of 30^6 (729 million), each equally likely. A candidate: another poll may have it.
    package static func generate() -> String {
        var code: [UInt8] = []
        code.reserveCapacity(length)
        while code.count < length {
            for byte in Random.bytes(16) where code.count < length {
                // Five bits; what is past the alphabet is thrown away, for a remainder would make
                // the first characters likelier.
                let position = Int(byte & 31)
                if position < alphabet.count { code.append(alphabet[position]) }
            }
        }
        return String(decoding: code, as: UTF8.self)
    }
}

import Testing

@testable import Identity

struct VoterTokenTests {
    private let signer = VoterTokenSigner(key: Array(0..<32))
    private let id = VoterToken.ID(high: 0x0001_0203_0405_0607, low: 0x0809_0A0B_0C0D_0E0F)

    @Test func `a minted token verifies to its id`() {
        for _ in 0..<100 {
            let id = VoterToken.ID.random()
            #expect(signer.verify(signer.mint(id)) == id)
        }
    }

    @Test func `a token is its id and half a code in base64url`() {
        #expect(signer.mint(id) == "psv_AAECAwQFBgcICQoLDA0ODwZRXB3ll6rFMzWI0BJN9k0")
    }

    @Test func `a token altered anywhere is refused`() {
        let token = Array(signer.mint(id).utf8)
        for position in token.indices {
            for replacement in Array("AZaz09-_=+/. \0".utf8) + [0xFF]
            where replacement != token[position] {
                var altered = token
                altered[position] = replacement
                #expect(signer.verify(altered) == nil, "\(position) \(replacement)")
            }
        }
    }

    @Test func `a token of any other length is refused`() {
        let token = Array(signer.mint(id).utf8)
        for length in token.indices { #expect(signer.verify(Array(token[..<length])) == nil) }
        #expect(signer.verify(token + Array("A".utf8)) == nil)
        #expect(signer.verify(token + Array("=".utf8)) == nil)
    }

    @Test func `the previous key's tokens stay valid until it is dropped`() {
        let token = signer.mint(id)
        let newKey: [UInt8] = Array(32..<64)
        let rotating = VoterTokenSigner(keys: [newKey, Array(0..<32)])
        #expect(rotating.verify(token) == id)
        #expect(VoterTokenSigner(key: newKey).verify(rotating.mint(id)) == id)
        rotating.replaceKeys([newKey])
        #expect(rotating.verify(token) == nil)
        #expect(rotating.verify(rotating.mint(id)) == id)
    }

    @Test func `a code of the voter's key is no token`() {
        // The same key for both purposes: an operator's mistake that must not open a door.
        let key: [UInt8] = Array(0..<32)
        let bytes = withUnsafeBytes(of: (id.high.bigEndian, id.low.bigEndian)) { Array($0) }
        let code = bytes.withUnsafeBytes { bytes in
            MessageCode(key: key).withCode(of: CodeLabel.voterTokenID, bytes) { Array($0) }
        }
        let forged = VoterToken.prefix + Base64URL.encode(bytes + code.prefix(16))
        #expect(signer.verify(forged) == nil)
    }

    @Test func `random ids differ`() {
        #expect(Set((0..<10_000).map { _ in VoterToken.ID.random() }).count == 10_000)
    }
}

extension VoterTokenSigner {
    fileprivate func verify(_ token: String) -> VoterToken.ID? { verify(Array(token.utf8)) }
    fileprivate func verify(_ token: [UInt8]) -> VoterToken.ID? {
        token.withUnsafeBytes { verify($0) }
    }
}

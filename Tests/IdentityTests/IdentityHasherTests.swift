import Polls
import Testing

@testable import Identity

struct IdentityHasherTests {
    private let hasher = IdentityHasher(key: Array(0..<32))

    @Test func `a key is the start of HMAC-SHA256 over kind and value`() {
        // printf '\x01alice' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1e1f
        let key = hasher.voterKey(for: .name("alice"))
        #expect(key == VoterKey(high: 0x73BF, low: 0xAD79_263A_5D3F_D9EA))
    }

    @Test func `a token's id is hashed big endian`() {
        let id = VoterToken.ID(high: 0x0001_0203_0405_0607, low: 0x0809_0A0B_0C0D_0E0F)
        #expect(
            hasher.voterKey(for: .token(id)) == VoterKey(high: 0xC1B5, low: 0xCBBB_555D_DCEE_1F08))
    }

    @Test func `identities that read alike are different voters`() {
        let id = VoterToken.ID(high: 0x6161_6161_6161_6161, low: 0x6161_6161_6161_6161)
        let text = String(repeating: "a", count: 16)
        let keys: Set = [
            hasher.voterKey(for: .name(text)), hasher.voterKey(for: .subject(text)),
            hasher.voterKey(for: .token(id)),
        ]
        #expect(keys.count == 3)
    }

    @Test func `names are compared byte by byte`() {
        // Swift holds the two spellings of é to be equal; two voters they are nevertheless.
        #expect("caf\u{E9}" == "cafe\u{301}")
        #expect(
            hasher.voterKey(for: .name("caf\u{E9}")) != hasher.voterKey(for: .name("cafe\u{301}")))
        #expect(hasher.voterKey(for: .name("Alice")) != hasher.voterKey(for: .name("alice")))
        #expect(hasher.voterKey(for: .name("")) != hasher.voterKey(for: .name("\0")))
    }

    @Test func `another key gives other voters`() {
        let other = IdentityHasher(key: Array(1..<33))
        #expect(other.voterKey(for: .name("alice")) != hasher.voterKey(for: .name("alice")))
    }

    @Test func `threads share one hasher`() async {
        let hasher = hasher
        let expected = (0..<200).map { hasher.voterKey(for: .name("voter \($0)")) }
        await withTaskGroup(of: [VoterKey].self) { group in
            for _ in 0..<8 {
                group.addTask { (0..<200).map { hasher.voterKey(for: .name("voter \($0)")) } }
            }
            for await keys in group { #expect(keys == expected) }
        }
    }

    @Test func `a hundred thousand voters have as many keys`() {
        let keys = Set((0..<100_000).map { hasher.voterKey(for: .name(String($0))) })
        #expect(keys.count == 100_000)
    }
}

/// Hashes voters' identities with the key that all gateways share. Thread-safe.
package struct IdentityHasher: Sendable {
    private let key: [UInt8]

    package init(key: [UInt8]) { self.key = key }
}

/// Signs and verifies voter tokens. Thread-safe.
package struct VoterTokenSigner: Sendable {
    private let key: [UInt8]

    package init(key: [UInt8]) { self.key = key }
}

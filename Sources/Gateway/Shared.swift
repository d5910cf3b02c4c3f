package import Identity

/// What the loops of one process share. Everything in it is thread-safe by itself.
package final class Shared: Sendable {
    package let hasher: IdentityHasher
    package let tokens: VoterTokenSigner
    package let viewers = ViewerCounts()
    let rates = RateLimiter()
    let addresses = AddressCounts()
    let exports = ExportSlots()

    package init(hasher: IdentityHasher, tokens: VoterTokenSigner) {
        self.hasher = hasher
        self.tokens = tokens
    }
}

/// The gateway's own voter credential: 16 random bytes and a MAC, as `psv_…` in a cookie or as a
/// bearer token.
package enum VoterToken {
    package struct ID: Hashable, Sendable {
        package let high: UInt64
        package let low: UInt64

        package init(high: UInt64, low: UInt64) {
            self.high = high
            self.low = low
        }
    }
}

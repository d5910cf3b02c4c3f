/// The server's clock as one connection knows it, from the times that come with its answers.
///
/// For limits that the server keeps for us: what it is told is never later than the moment that is
/// meant, whatever the answer had taken, unless the server's clock was set back since.
struct ServerClock {
    private var reading: (milliseconds: Int64, at: Int64)?

    /// A reading is believed for so long: 10 s.
    private static let lifeNanoseconds: Int64 = 10_000_000_000
    /// Two clocks go apart by less than this part of the time; NTP slews each by 1/2000 at most.
    private static let driftPart: Int64 = 500

    /// - Parameters:
    ///   - milliseconds: Unix time by the server, rounded down.
    ///   - now: when its answer had come, monotonic nanoseconds.
    mutating func note(_ milliseconds: Int64, at now: Int64) { reading = (milliseconds, now) }

    /// - Parameter now: monotonic nanoseconds.
    func isKnown(at now: Int64) -> Bool {
        reading.map { now - $0.at < Self.lifeNanoseconds } ?? false
    }

    /// Unix milliseconds by the server at `moment`, or a little less; nil where nothing is known.
    /// - Parameter moment: monotonic nanoseconds.
    func milliseconds(at moment: Int64) -> Int64? {
        guard let reading else { return nil }
        // The server read its clock before its answer came, so no less time has passed for it since.
        let elapsed = moment - reading.at
        let certain = elapsed - abs(elapsed) / Self.driftPart
        let whole = certain / 1_000_000
        return reading.milliseconds + (certain < whole * 1_000_000 ? whole - 1 : whole)
    }
}

/// Random bytes of the kernel, which nobody can predict: the standard library's generator is
/// getrandom(2) on Linux, and ends the process where the kernel gives none. Any thread.
package enum Random {
    package static func bytes(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
            var word: UInt64 = 0
            for position in 0..<count {
                if position & 7 == 0 { word = generator.next() }
                buffer.initializeElement(at: position, to: UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
            initializedCount = count
        }
    }

    /// 1 to 2^63 - 1.
    package static func int64() -> Int64 { .random(in: 1 ... .max) }
}

/// Ids for ballots: unique, not secret. One per thread that makes ballots; a system call for each
/// would cost more than the rest of admitting a ballot.
package struct BallotIDs {
    private var state: UInt64

    package init() { self.init(seed: UInt64(bitPattern: Random.int64())) }

    init(seed: UInt64) { state = seed }

    /// 1 to 2^63 - 1. SplitMix64 (Steele, Lea, Flood 2014): a bijection of a counter, so that the
    /// 64 bits of one sequence never repeat, and two sequences meet as rarely as random numbers.
    package mutating func next() -> Int64 {
        while true {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
            let id = Int64(bitPattern: (mixed ^ mixed >> 31) & UInt64(Int64.max))
            if id != 0 { return id }
        }
    }
}

import TestRandom

/// A value to write and to compare with what is read.
indirect enum Tree: Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    case string(String)
    case array([Tree])

    static func random(depth: Int, using random: inout SeededGenerator) -> Tree {
        switch Int.random(in: 0..<(depth > 0 ? 6 : 4), using: &random) {
        case 0: return Bool.random(using: &random) ? .null : .bool(Bool.random(using: &random))
        case 1: return .integer(Int64(truncatingIfNeeded: random.next()) >> (random.next() % 64))
        case 2, 3: return .string(randomString(using: &random))
        default:
            let count = Int.random(in: 0...4, using: &random)
            return .array((0..<count).map { _ in .random(depth: depth - 1, using: &random) })
        }
    }
}

/// Scalars from all planes, those that need an escape often; never U+0000.
func randomString(using random: inout SeededGenerator) -> String {
    var scalars = String.UnicodeScalarView()
    for _ in 0..<Int.random(in: 0...20, using: &random) {
        let scalar: UInt32 =
            switch Int.random(in: 0..<5, using: &random) {
            case 0: UInt32.random(in: 1...0x1f, using: &random)
            case 1: [0x22, 0x5c, 0x2f, 0x3c, 0x7f, 0x2028, 0x2029].randomElement(using: &random)!
            case 2: UInt32.random(in: 0x20...0x7e, using: &random)
            case 3: UInt32.random(in: 0x80...0x10ffff, using: &random)
            default: UInt32.random(in: 0x7f0...0x810, using: &random)
            }
        scalars.append(Unicode.Scalar(scalar) ?? "\u{fffd}")
    }
    return String(scalars)
}

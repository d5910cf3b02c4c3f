import CoreFoundation
import Foundation
import TestRandom
import Testing

@testable import JSON

/// What `JSONSerialization` and our reader both take must mean the same, and they may disagree
/// about taking a text only where ours is strict on purpose.
@Suite struct FoundationDifferentialTests {
    /// Why ours refuses what Foundation takes.
    private static let stricter: Set<JSONSyntaxError.Reason> = [
        .duplicateMember, .tooDeep, .badText, .tooManyValues,
    ]

    private func agree(_ value: JSONValue, _ other: Any) throws -> Bool {
        switch value.kind {
        case .null: return other is NSNull
        case .bool:
            let number = try #require(other as? NSNumber)
            let bool = try value.bool
            return CFGetTypeID(number) == CFBooleanGetTypeID() && number.boolValue == bool
        case .number:
            let number = try #require(other as? NSNumber)
            if let integer = try? value.int64 { return number.int64Value == integer }
            let text = String(decoding: value.text, as: UTF8.self)
            return abs(number.doubleValue - (Double(text) ?? .nan))
                <= abs(number.doubleValue) * 1e-12
        case .string: return try (other as? String)?.utf8.elementsEqual(value.string.utf8) == true
        case .array:
            let others = try #require(other as? [Any])
            let elements = Array(try value.elements)
            return try elements.count == others.count
                && zip(elements, others).allSatisfy { try agree($0, $1) }
        default:
            let others = try #require(other as? [String: Any])
            return try Self.names.allSatisfy { name in
                guard let other = others[name.description] else {
                    return value[name].kind == .missing
                }
                return try agree(value[name], other)
            }
        }
    }

    /// Whether a bracket is refused because of the comma before it.
    private func followsComma(_ offset: Int, in bytes: [UInt8]) -> Bool {
        let before = bytes[..<offset].last { !" \n\r\t".utf8.contains($0) }
        return offset < bytes.count && "]}".utf8.contains(bytes[offset])
            && before == UInt8(ascii: ",")
    }

    /// Of members with any name; what looks like a number in a string counts as one.
    private func numbersAreDoubles(in text: String) -> Bool {
        text.split { !"+-.eE0123456789".contains($0) }.allSatisfy { number in
            let isZero = number.prefix { $0 != "e" && $0 != "E" }.allSatisfy { "-0.".contains($0) }
            return isZero || Double(number)?.isNormal ?? true
        }
    }

    /// The members of the texts that are mutated.
    private static let names: [StaticString] = [
        "type", "ref", "poll_id", "option_ids", "voter", "a", "b",
    ]

    private static let starts = [
        #"{"type":"vote","ref":"a1","poll_id":7,"option_ids":[31],"voter":"abc"}"#,
        #"{"a":[1,-2.5,3e4,true,false,null],"b":{"a":"\u00e4\ud83c\udf89\n","b":[]}}"#,
        #"[ {"a" : "x"} , [[[]]], "\\\"\/", 0, -0.0, 1E-2, 9007199254740993 ]"#, "\"text\"",
    ]

    private func mutated(_ text: String, using random: inout SeededGenerator) -> [UInt8] {
        var bytes = Array(text.utf8)
        let pool = Array(#"{}[]",:\0123456789.eE+-truefalsn /ub"#.utf8) + [0x0a, 0x01, 0xc3, 0xa4]
        for _ in 0..<Int.random(in: 0...3, using: &random) where !bytes.isEmpty {
            let at = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes[at] = pool.randomElement(using: &random)!
            case 1: bytes.insert(pool.randomElement(using: &random)!, at: at)
            case 2: bytes.remove(at: at)
            default: bytes.insert(contentsOf: bytes[at...].prefix(6), at: at)
            }
        }
        return bytes
    }

    @Test func `mutated texts are taken alike and mean the same`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed of the comparison with Foundation: \(seed)")
        var random = SeededGenerator(seed: seed)
        let document = JSONDocument()
        var takenByBoth = 0
        for _ in 0..<20_000 {
            let bytes = mutated(Self.starts.randomElement(using: &random)!, using: &random)
            let text = String(decoding: bytes, as: UTF8.self)
            let other = try? JSONSerialization.jsonObject(
                with: Data(bytes), options: .fragmentsAllowed)
            try bytes.withUnsafeBytes { raw in
                do {
                    let root = try document.parse(raw)
                    guard let other else {
                        // Foundation wants every number to be one of its doubles.
                        #expect(
                            !numbersAreDoubles(in: text), "only ours takes \(text), seed \(seed)")
                        return
                    }
                    #expect(try agree(root, other), "\(text), seed \(seed)")
                    takenByBoth += 1
                } catch let error as JSONSyntaxError {
                    let isStricter =
                        Self.stricter.contains(error.reason)
                        || followsComma(error.offset, in: bytes)
                    #expect(
                        other == nil || isStricter,
                        "only Foundation takes \(text): \(error), seed \(seed)")
                }
            }
        }
        #expect(takenByBoth > 2000)
    }

    /// The differences, one by one: texts that Foundation takes and ours does not.
    @Test(arguments: [
        ("{\"a\":1,\"a\":2}", JSONSyntaxError.Reason.duplicateMember),
        (String(repeating: "[", count: 33) + String(repeating: "]", count: 33), .tooDeep),
        ("\"\\u0000\"", .badText), ("\u{feff}[]", .syntax), ("[1,]", .syntax),
        ("{\"a\":1,}", .syntax),
    ])
    func `ours is stricter where it says so`(text: String, reason: JSONSyntaxError.Reason) throws {
        _ = try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
        do {
            try withRoot(of: text) { _ in }
            Issue.record("taken: \(text)")
        } catch let error as JSONSyntaxError {
            #expect(error.reason == reason)
        }
    }
}

import TestRandom
import Testing

@testable import JSON

@Suite struct JSONRoundTripTests {
    private func write(_ tree: Tree, to json: inout JSONWriter) {
        switch tree {
        case .null: json.null()
        case .bool(let bool): json.value(bool)
        case .integer(let integer): json.value(integer)
        case .string(let string): json.value(string)
        case .array(let elements):
            json.beginArray()
            for element in elements { write(element, to: &json) }
            json.endArray()
        }
    }

    private func read(_ value: JSONValue) throws -> Tree {
        switch value.kind {
        case .null: .null
        case .bool: .bool(try value.bool)
        case .number: .integer(try value.int64)
        case .string: .string(try value.string)
        default: .array(try value.elements.map(read))
        }
    }

    @Test func `what is written is read again`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed of the round trip: \(seed)")
        var random = SeededGenerator(seed: seed)
        let document = JSONDocument(valueCapacity: 4096)
        var json = JSONWriter()
        for _ in 0..<2000 {
            let tree = Tree.random(depth: 4, using: &random)
            json.restart()
            write(tree, to: &json)
            let again = try json.bytes.withUnsafeBytes { try read(try document.parse($0)) }
            #expect(again == tree, "seed \(seed)")
        }
    }
}

import Testing

@testable import JSON

/// Parses `text` and lends its top value.
func withRoot<Result>(
    of text: String, valueCapacity: Int = 256, _ body: (JSONValue) throws -> Result
) throws -> Result {
    let document = JSONDocument(valueCapacity: valueCapacity)
    return try Array(text.utf8).withUnsafeBytes { try body(try document.parse($0)) }
}

@Suite struct JSONValueTests {
    private static let vote =
        #"{"type":"vote","ref":"a\n1","poll_id":7,"option_ids":[31,32],"#
        + #""voter":null,"async":true,"n\u0061me":"ä","nested":{"a":[{"b":1}]}}"#

    @Test func `members are read by name and type`() throws {
        try withRoot(of: Self.vote) { root in
            #expect(try root["type"].string == "vote")
            #expect(try root["ref"].string == "a\n1")
            #expect(try root["poll_id"].int64 == 7)
            let optionIDs = try root["option_ids"].elements.map { try $0.int64 }
            #expect(optionIDs == [31, 32])
            #expect(try root["async"].bool)
            #expect(try root["name"].string == "ä")
            let nested = try root["nested"]["a"].elements.map { try $0["b"].int64 }
            #expect(nested == [1])
        }
    }

    @Test func `what is left out is nil, what is wrong is not`() throws {
        try withRoot(of: Self.vote) { root in
            let voter = try root["voter"].ifPresent?.string
            let missing = try root["missing"].ifPresent?.string
            #expect(voter == nil && missing == nil)
            #expect(root["voter"].kind == .null && root["missing"].kind == .missing)
            #expect(throws: JSONMismatch(member: "poll_id", reason: .wrongType)) {
                try root["poll_id"].ifPresent?.string
            }
        }
    }

    @Test func `a mismatch tells what is wrong with which member`() throws {
        let text =
            #"{"null":null,"text":"1","fraction":1.0,"exponent":1e0,"minus":-0,"#
            + #""big":9223372036854775808,"true":true,"list":[1,"x"],"object":{}}"#
        try withRoot(of: text) { root in
            func reason<Value>(_ read: () throws -> Value) -> String {
                do {
                    _ = try read()
                    return "none"
                } catch let mismatch as JSONMismatch {
                    return "\(mismatch.member) \(mismatch.reason)"
                } catch {
                    return "\(error)"
                }
            }
            let found = [
                reason { try root["gone"].int64 }, reason { try root["null"].int64 },
                reason { try root["text"].int64 }, reason { try root["true"].int64 },
                reason { try root["list"].int64 }, reason { try root["object"].int64 },
                reason { try root["fraction"].int64 }, reason { try root["exponent"].int64 },
                reason { try root["minus"].int64 }, reason { try root["big"].int64 },
                reason { try root["true"].string }, reason { try root["text"].bool },
                reason { try root["object"].elements },
                reason { try root["list"].elements.map { try $0.int64 } },
                reason { try root["text"]["inside"].string }, reason { try root.string },
            ]
            #expect(
                found == [
                    "gone missing", "null null", "text wrongType", "true wrongType",
                    "list wrongType", "object wrongType", "fraction notAnInteger",
                    "exponent notAnInteger", "minus notAnInteger", "big outOfRange",
                    "true wrongType", "text wrongType", "object wrongType", "list wrongType",
                    "inside missing", " wrongType",
                ])
        }
    }

    @Test func `values tell their kind and their text`() throws {
        let text = #"[null,true,false,-1.5e3,"a\n",[ 1 ],{ "a":1 },""]"#
        try withRoot(of: text) { root in
            let elements = Array(try root.elements)
            #expect(
                elements.map(\.kind)
                    == [.null, .bool, .bool, .number, .string, .array, .object, .string])
            #expect(
                elements.map { String(decoding: $0.text, as: UTF8.self) }
                    == [
                        "null", "true", "false", "-1.5e3", #""a\n""#, "[ 1 ]", #"{ "a":1 }"#,
                        "\"\"",
                    ])
            #expect(root["a"].text.isEmpty)
            #expect(try root.elements.count == 8)
        }
    }

    @Test func `a top value that is no object has no members`() throws {
        for text in ["[]", "1", "\"a\"", "null"] {
            try withRoot(of: text) { #expect($0["a"].kind == .missing) }
        }
    }

    static let broken: [(String, JSONSyntaxError)] = [
        ("", .init(reason: .endsEarly, offset: 0)), ("  ", .init(reason: .endsEarly, offset: 2)),
        (#"{"a":1"#, .init(reason: .endsEarly, offset: 6)),
        ("[1,]", .init(reason: .syntax, offset: 3)),
        (String(repeating: "[", count: 40), .init(reason: .tooDeep, offset: 32)),
        (#"{"a":1,"a":1}"#, .init(reason: .duplicateMember, offset: 12)),
        (#""\ud800""#, .init(reason: .badText, offset: 7)),
        ("[" + String(repeating: "1,", count: 40), .init(reason: .tooManyValues, offset: 79)),
    ]

    @Test(arguments: broken)
    func `broken text is a syntax error with its place`(text: String, error: JSONSyntaxError) {
        #expect(throws: error) { try withRoot(of: text, valueCapacity: 40) { _ in } }
    }

    @Test func `one document reads one text after the other`() throws {
        let document = JSONDocument(valueCapacity: 8)
        for (text, expected) in [(#"{"a":1}"#, 1 as Int64), (#"{"b":[],"a":2}"#, 2)] {
            let value = try Array(text.utf8).withUnsafeBytes {
                #expect(throws: JSONSyntaxError.self) {
                    try document.parse(UnsafeRawBufferPointer(start: nil, count: 0))
                }
                return try document.parse($0)["a"].int64
            }
            #expect(value == expected)
        }
    }
}

import Testing

@testable import Identity

struct VoterKeyFileTests {
    private let a = String(repeating: "a", count: 32)
    private let b = String(repeating: "b", count: 44)

    private func keys(_ text: String) throws -> [String] {
        try VoterKeyFile(Array(text.utf8)).keys.map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func `the first line signs and comments say nothing`() throws {
        #expect(try keys(a) == [a])
        #expect(try keys("# made today\n\(b)\r\n\n# until the end of the year\n\(a)\n") == [b, a])
    }

    @Test func `a line that is no key is told by its number alone`() {
        for (text, words) in [
            ("\(a)\nshort-secret\n", "line 2"), ("\(a) \n", "line 1"),
            ("\(a)\n\(b)\n\(a)\n", "line 3"),
            ("\(a)\n" + String(repeating: "x", count: 1_025), "line 2"), ("", "0 keys"),
            ("#\n", "0 keys"),
            ("\(a)\u{0}", "line 1"),
            ((0..<17).map { "\(a)\($0)" }.joined(separator: "\n"), "17 keys"),
        ] {
            do {
                _ = try keys(text)
                Issue.record("taken: \(text)")
            } catch let error as KeyFileError {
                #expect(error.reason.contains(words))
                #expect(!error.reason.contains("secret"))
            } catch {
                Issue.record("another error")
            }
        }
    }
}

import Testing

@testable import Gateway

@Suite struct RequestIDTests {
    private func id(_ text: String) -> String? {
        var text = text
        return text.withUTF8 { RequestID(UnsafeRawBufferPointer($0))?.text }
    }

    @Test func `what others name requests with is taken as it is`() {
        for name in [
            "1", "6f0c2f6e-8a3b-4b6e-9a52-0a3f4b8c7d1e", "00-4bf92f3577b34da6-00f067aa0ba902b7-01",
            "Root=1-67891233-abcdef012345678912345678", "aGVsbG8/d29ybGQ=", "a@b:c~d_e.f",
            String(repeating: "x", count: 128),
        ] { #expect(id(name) == name) }
    }

    @Test func `what would have to be escaped, or is too long, is none`() {
        for name in [
            "", "two words", "a\"b", "a\\b", "a\nb", "\u{1B}[31m", "naïve", "a,b", "a;b",
            "\u{0}", String(repeating: "x", count: 129),
        ] { #expect(id(name) == nil) }
    }

    @Test func `made up ones are 16 hexadecimal digits, each another`() {
        let names = (0..<1_000).map { _ in RequestID().text }
        #expect(Set(names).count == names.count)
        for name in names {
            #expect(name.count == 16)
            #expect(UInt64(name, radix: 16) != nil)
            #expect(id(name) == name)
        }
    }
}

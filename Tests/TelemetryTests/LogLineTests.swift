import Testing

@testable import Telemetry

@Suite struct LogLineTests {
    private func line(_ message: String, _ facts: [(String, String)] = []) -> LogLine {
        LogLine(at: 1_790_000_000_123, level: "notice", message: message, facts: facts)
    }

    private func text(_ line: LogLine, as format: Log.Format) -> String {
        String(decoding: line.bytes(as: format), as: UTF8.self)
    }

    @Test func `a text line has time, level, message and facts`() {
        let line = line("storage lost", [("after", "3"), ("reason", "disk full")])
        #expect(
            text(line, as: .text)
                == "2026-09-21T14:13:20.123Z notice storage lost after=3 reason=\"disk full\"\n")
    }

    @Test func `a JSON line has time, level, message and facts`() {
        let line = line("storage \"lost\"", [("reason", "a\\b")])
        #expect(
            text(line, as: .json)
                == "{\"time\":\"2026-09-21T14:13:20.123Z\",\"level\":\"notice\","
                + "\"message\":\"storage \\\"lost\\\"\",\"reason\":\"a\\\\b\"}\n")
    }

    @Test func `an address in a message stays readable in both formats`() {
        let line = line("listening on http://127.0.0.1:8080")
        for format in Log.Format.allCases {
            #expect(text(line, as: format).contains("listening on http://127.0.0.1:8080"))
        }
    }

    @Test(arguments: Log.Format.allCases)
    func `every control character is escaped`(format: Log.Format) {
        let controls =
            (0..<0x20).map { $0 } + (0x7F..<0xA0).map { $0 } + [0x2028, 0x2029, 0x202E, 0x2066]
        for control in controls {
            let scalar = Unicode.Scalar(UInt32(control))!
            let line = line("a\(scalar)b", [("name\(scalar)", "x\(scalar)y")])
            let written = text(line, as: format)
            #expect(
                written.unicodeScalars.filter { $0 == scalar }.count == (control == 0x0A ? 1 : 0))
            #expect(written.hasSuffix("\n"))
        }
    }

    @Test func `a forged line stays a value`() {
        let forged = "ann\n2026-09-21T14:13:20.123Z error storage lost"
        let written = text(line("voter refused", [("voter", forged)]), as: .text)
        #expect(written.split(separator: "\n").count == 1)
        #expect(written.contains("voter=\"ann\\n2026"))
    }

    @Test func `an empty value is visible`() {
        #expect(text(line("x", [("voter", "")]), as: .text).hasSuffix(" voter=\"\"\n"))
    }

    @Test(arguments: Log.Format.allCases)
    func `no line is longer than the limit, and all are whole UTF-8`(format: Log.Format) {
        for length in [0, 1, 2_000, 4_050, 4_095, 4_096, 5_000, 100_000] {
            for piece in ["a", "é", "😀", "\u{1}"] {
                let long = String(repeating: piece, count: length)
                for line in [
                    line(long), line("x", [("y", long)]), line(long, [("y", long), ("z", "1")]),
                ] {
                    let bytes = line.bytes(as: format)
                    #expect(bytes.count <= LogLine.limitBytes)
                    #expect(bytes.last == 0x0A)
                    #expect(String(validating: bytes, as: UTF8.self) != nil)
                    if format == .json { #expect(bytes.suffix(2) == [0x7D, 0x0A]) }
                }
            }
        }
    }

    @Test func `times are right before 2000 and on a leap day`() {
        #expect(LogLine.rfc3339(0) == "1970-01-01T00:00:00.000Z")
        #expect(LogLine.rfc3339(951_782_400_007) == "2000-02-29T00:00:00.007Z")
    }
}

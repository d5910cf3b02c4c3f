import CWire
import Testing

/// A client's frame, byte by byte as told; `mask` nil leaves it unmasked.
struct ClientFrame {
    var opcode: UInt8
    var payload: [UInt8] = []
    var fin = true
    var reservedBits: UInt8 = 0
    var mask: [UInt8]? = [0x37, 0xfa, 0x21, 0x3d]
    /// Bytes of the extended length, where another than the shortest form is wanted.
    var lengthBytes: Int?

    var bytes: [UInt8] {
        let size = lengthBytes ?? (payload.count < 126 ? 0 : payload.count < 65536 ? 2 : 8)
        let length = size == 0 ? UInt8(payload.count) : size == 2 ? 126 : 127
        var bytes = [(fin ? 0x80 : 0) | reservedBits << 4 | opcode]
        bytes.append((mask == nil ? 0 : 0x80) | length)
        for index in 0..<size {
            bytes.append(UInt8(truncatingIfNeeded: payload.count >> (8 * (size - 1 - index))))
        }
        guard let mask else { return bytes + payload }
        return bytes + mask + payload.enumerated().map { $0.element ^ mask[$0.offset % 4] }
    }
}

@Suite struct WebSocketFrameTests {
    private func parse(
        _ bytes: some Collection<UInt8>, allowsCompressed: Bool = false
    ) -> (CInt, ps_ws_header) {
        withGuarded(bytes) { start in
            var header = ps_ws_header()
            return (ps_ws_parse_header(&header, start, bytes.count, allowsCompressed), header)
        }
    }

    @Test(arguments: [0, 1, 125, 126, 127, 65535, 65536, 100_000])
    func `headers of all lengths are read, cut anywhere`(payloadCount: Int) {
        let frame = ClientFrame(opcode: 2, payload: Array(repeating: 7, count: payloadCount))
        let headerCount = frame.bytes.count - payloadCount
        let (answer, header) = parse(frame.bytes)
        #expect(answer == PS_DONE.rawValue)
        #expect(header.payload_bytes == UInt64(payloadCount) && header.fin && !header.compressed)
        #expect(header.opcode == 2 && Int(header.header_bytes) == headerCount)
        #expect([header.mask.0, header.mask.1, header.mask.2, header.mask.3] == frame.mask)
        for cut in 0..<headerCount {
            #expect(parse(frame.bytes[..<cut]).0 == PS_PARTIAL.rawValue)
        }
        #expect(parse(frame.bytes[..<headerCount]).0 == PS_DONE.rawValue)
    }

    /// What is malformed, and after how many bytes that is certain.
    static let malformed: [(String, [UInt8], Int)] = [
        ("not masked", [0x81, 0x00], 2), ("not masked, long", [0x81, 0x7e], 2),
        ("RSV1", [0xc1], 1), ("RSV2", [0xa1], 1), ("RSV3", [0x91], 1),
        ("opcode 3", [0x83], 1), ("opcode 7", [0x87], 1), ("opcode 11", [0x8b], 1),
        ("opcode 15", [0x8f], 1), ("a fragment of opcode 3", [0x03], 1),
        ("fragmented close", [0x08], 1), ("fragmented ping", [0x09], 1),
        ("fragmented pong", [0x0a], 1), ("ping of 126", [0x89, 0xfe], 2),
        ("close in the long form", [0x88, 0xff], 2),
        ("125 in two bytes", [0x81, 0xfe, 0, 125], 4), ("0 in two bytes", [0x81, 0xfe, 0, 0], 4),
        ("65535 in eight bytes", [0x81, 0xff, 0, 0, 0, 0, 0, 0], 8),
        ("top bit", [0x81, 0xff, 0x80], 3), ("top bits", [0x82, 0xff, 0xff], 3),
    ]

    @Test(arguments: malformed)
    func `a malformed header is known by its first wrong byte`(
        name: String, bytes: [UInt8], certainAfter: Int
    ) {
        let rest: [UInt8] = Array(repeating: 0xff, count: 14)
        #expect(parse(bytes + rest).0 == PS_MALFORMED.rawValue)
        for cut in 0..<(bytes.count + rest.count) {
            let expected = cut < certainAfter ? PS_PARTIAL : PS_MALFORMED
            #expect(parse((bytes + rest)[..<cut]).0 == expected.rawValue, "\(name) cut at \(cut)")
        }
    }

    @Test func `lengths just beyond the shorter form are right`() {
        #expect(parse([0x81, 0xfe, 0, 126, 1, 2, 3, 4]).1.payload_bytes == 126)
        #expect(parse([0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4]).1.payload_bytes == 65536)
        let largest = parse([0x81, 0xff, 0x7f] + Array(repeating: 0xff, count: 7) + [1, 2, 3, 4])
        #expect(largest.0 == PS_DONE.rawValue && largest.1.payload_bytes == UInt64(Int64.max))
    }

    @Test func `RSV1 stands on the first frame of a message where it was agreed`() {
        for opcode: UInt8 in [1, 2] {
            let (answer, header) = parse([0xc0 | opcode, 0x80, 1, 2, 3, 4], allowsCompressed: true)
            #expect(answer == PS_DONE.rawValue && header.compressed)
            #expect(parse([0x40 | opcode, 0x80], allowsCompressed: true).0 == PS_PARTIAL.rawValue)
        }
        for opcode: UInt8 in [0, 8, 9, 10] {
            #expect(parse([0xc0 | opcode], allowsCompressed: true).0 == PS_MALFORMED.rawValue)
        }
        #expect(parse([0xe1], allowsCompressed: true).0 == PS_MALFORMED.rawValue)
    }

    @Test func `unmasking is the XOR of each byte, at any phase and length`() {
        let mask: [UInt8] = [0x12, 0x80, 0xff, 0x07]
        for count in 0...70 {
            let masked = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
            for phase in 0..<9 {
                let result = withGuarded(masked) { bytes in
                    ps_ws_unmask(bytes, count, mask, phase)
                    return Array(UnsafeBufferPointer(start: bytes, count: count))
                }
                let expected = masked.enumerated().map {
                    $0.element ^ mask[($0.offset + phase) % 4]
                }
                #expect(result == expected)
            }
        }
    }

    @Test func `unmasking in pieces is unmasking at once`() {
        let mask: [UInt8] = [1, 2, 3, 4]
        let masked = (0..<100).map { UInt8($0) }
        var whole = masked
        ps_ws_unmask(&whole, 100, mask, 0)
        for cut in 0...100 {
            var (front, back) = (Array(masked[..<cut]), Array(masked[cut...]))
            ps_ws_unmask(&front, front.count, mask, 0)
            ps_ws_unmask(&back, back.count, mask, cut)
            #expect(front + back == whole)
        }
    }

    @Test(arguments: [0, 1, 125, 126, 65535, 65536, 1 << 40] as [UInt64])
    func `our headers say the same when a client masks them`(payloadBytes: UInt64) {
        var out = [UInt8](repeating: 0, count: Int(PS_WS_SERVER_HEADER_BYTES_MAX))
        let count = ps_ws_write_header(&out, 1, true, payloadBytes)
        out[1] |= 0x80
        let (answer, header) = parse(out[..<count] + [1, 2, 3, 4], allowsCompressed: true)
        #expect(answer == PS_DONE.rawValue)
        #expect(header.payload_bytes == payloadBytes && header.opcode == 1)
        #expect(header.fin && header.compressed && Int(header.header_bytes) == count + 4)
    }

    @Test func `close codes are those that may be sent`() {
        for code in 0...UInt16.max {
            let isValid =
                (1000...1003).contains(code) || (1007...1014).contains(code)
                || (3000...4999).contains(code)
            var echoed: UInt16 = 7
            let answer = withGuarded([UInt8(code >> 8), UInt8(code & 0xff)]) {
                ps_ws_parse_close(&echoed, $0, 2)
            }
            if answer != (isValid ? 0 : 1002) || echoed != (isValid ? code : 7) {
                Issue.record("close \(code): \(answer), echoed \(echoed)")
            }
        }
    }

    static let closes: [(String, [UInt8], UInt16, UInt16)] = [
        ("empty", [], 0, 1000), ("one byte", [3], 1002, 0), ("a reason", [3, 232, 0x61], 0, 1000),
        ("the longest reason", [3, 233] + Array(repeating: 0x61, count: 123), 0, 1001),
        ("overlong", [3, 232, 0xc0, 0x80], 1007, 0), ("cut short", [3, 232, 0xe2, 0x82], 1007, 0),
        ("bad code before bad reason", [0, 0, 0xff], 1002, 0),
    ]

    @Test(arguments: closes)
    func `close payloads are checked`(
        name: String, payload: [UInt8], answer: UInt16, echoed: UInt16
    ) {
        var code: UInt16 = 0
        let result = withGuarded(payload) { ps_ws_parse_close(&code, $0, payload.count) }
        #expect(result == answer && code == echoed, "\(name)")
    }

    @Test func `a written close is read again`() {
        var out = [UInt8](repeating: 0, count: 127)
        let count = ps_ws_write_close(&out, 1008, "not reading")
        #expect(Array(out[..<count]) == [0x88, 13, 0x03, 0xf0] + Array("not reading".utf8))
        #expect(ps_ws_write_close(&out, 1000, "") == 4)
    }

    @Test func `a long reason is cut at a character`() {
        var out = [UInt8](repeating: 0, count: 127)
        for padding in 0...3 {
            let reason = String(repeating: "a", count: padding) + String(repeating: "🎉", count: 40)
            let count = ps_ws_write_close(&out, 1001, reason)
            #expect(count <= 127 && count > 123)
            let kept = String(validating: out[4..<count], as: UTF8.self)
            #expect(kept.map { reason.hasPrefix($0) } == true)
        }
    }
}

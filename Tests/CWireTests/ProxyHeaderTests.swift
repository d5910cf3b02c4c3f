import CWire
import Testing

struct ProxyHeaderTests {
    private struct Header: Equatable {
        var answer: Int32
        var byteCount = 0
        /// nil: the peer's own counts.
        var address: [UInt8]?
        var port: UInt16 = 0
    }

    private func parse(_ bytes: [UInt8]) -> Header {
        withGuarded(bytes) { start in
            var header = ps_proxy_header()
            let answer = ps_proxy_parse(&header, start, bytes.count)
            guard answer == PS_DONE.rawValue else { return Header(answer: answer) }
            let address = withUnsafeBytes(of: header.address) { Array($0) }
            return Header(
                answer: answer, byteCount: Int(header.header_bytes),
                address: header.has_address ? address : nil, port: header.port)
        }
    }

    private func parse(_ text: String) -> Header { parse(Array(text.utf8)) }

    private static let signature = Array("\r\n\r\n\0\r\nQUIT\n".utf8)

    private func binary(_ command: UInt8, _ family: UInt8, _ rest: [UInt8], length: Int? = nil)
        -> [UInt8]
    {
        let length = length ?? rest.count
        return Self.signature + [0x20 | command, family, UInt8(length >> 8), UInt8(length & 255)]
            + rest
    }

    private let ipv4: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 7, 0xDC, 0x04, 0x01, 0xBB]
    private let mapped: [UInt8] = Array(repeating: 0, count: 10) + [255, 255, 192, 0, 2, 1]

    @Test func `a line names the client`() {
        let line = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
        let header = parse(line + "GET / HTTP/1.1\r\n")
        #expect(header.byteCount == line.utf8.count)
        #expect(header.address == mapped && header.port == 56324)
        let ipv6 = parse("PROXY TCP6 2001:DB8::1 ::ffff:192.0.2.1 0 65535\r\n")
        #expect(ipv6.address?.prefix(4) == [0x20, 0x01, 0x0d, 0xb8] && ipv6.port == 0)
        #expect(parse("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n").address == mapped, "one bucket")
    }

    @Test(arguments: ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN x  y\tz ::1 0\r\n"])
    func `an unknown client is the peer itself`(line: String) {
        #expect(parse(line) == Header(answer: PS_DONE.rawValue, byteCount: line.utf8.count))
    }

    @Test(arguments: [
        "PROXY TCP4 192.0.2.01 198.51.100.7 1 2\r\n", "PROXY TCP4 256.1.1.1 1.1.1.1 1 2\r\n",
        "PROXY TCP4 1.1.1 1.1.1.1 1 2\r\n", "PROXY TCP4 1.1.1.1.1 1.1.1.1 1 2\r\n",
        "PROXY TCP4 1.1.1.1 1.1.1.1 65536 2\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 01 2\r\n",
        "PROXY TCP4 1.1.1.1 1.1.1.1 -1 2\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n",
        "PROXY TCP4 1.1.1.1 1.1.1.1 1 2 3\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1 2 \r\n",
        "PROXY TCP4  1.1.1.1 1.1.1.1 1 2\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 1.1.1.1 1.1.1.1 1 2\r\n", "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        "PROXY TCP6 1::2::3 ::1 1 2\r\n", "PROXY tcp4 1.1.1.1 1.1.1.1 1 2\r\n",
        "proxy TCP4 1.1.1.1 1.1.1.1 1 2\r\n", "PROXY TCP5 1.1.1.1 1.1.1.1 1 2\r\n",
        "PROXY UDP4 1.1.1.1 1.1.1.1 1 2\r\n", "PROXY UNKNOWNX\r\n", "PROXY \r\n",
        "PROXY TCP4 1.1.1.1 1.1.1.1 1 2\n", "PROXY TCP4 1.1.1.1\r 1.1.1.1 1 2\r\n",
        "GET / HTTP/1.1\r\n", "PROXX", "\r\n\r\n\0\r\nQUIX",
    ])
    func `other lines are malformed`(line: String) {
        #expect(parse(line).answer == PS_MALFORMED.rawValue)
    }

    @Test func `a line ends after 107 bytes at the latest`() {
        let room = 107 - "PROXY UNKNOWN \r\n".utf8.count
        let longest = "PROXY UNKNOWN " + String(repeating: "x", count: room) + "\r\n"
        #expect(parse(longest).byteCount == 107)
        let longer = "PROXY UNKNOWN x" + String(repeating: "x", count: room) + "\r\n"
        #expect(parse(longer).answer == PS_MALFORMED.rawValue)
    }

    @Test func `a binary header names the client`() {
        let header = parse(binary(1, 0x11, ipv4) + Array("GET".utf8))
        #expect(header.byteCount == 28)
        #expect(header.address == mapped && header.port == 0xDC04)
        let ipv6 = parse(binary(1, 0x21, Array(0..<32) + [0, 80, 1, 187]))
        #expect(ipv6.address == Array(0..<16) && ipv6.port == 80)
        #expect(
            parse(binary(1, 0x21, mapped + mapped + [0, 1, 0, 2])).address == mapped, "one bucket")
    }

    @Test func `what has no address is the peer itself, and is skipped`() {
        for bytes in [
            binary(0, 0x00, []), binary(0, 0x00, [1, 2, 3]), binary(0, 0x11, [9]),
            binary(1, 0x00, [1, 2, 3]), binary(1, 0x12, ipv4),
            binary(1, 0x31, Array(repeating: 47, count: 216)),
        ] {
            #expect(parse(bytes) == Header(answer: PS_DONE.rawValue, byteCount: bytes.count))
        }
    }

    @Test func `extensions are skipped, within their bounds`() {
        let known = parse(binary(1, 0x11, ipv4 + [0x04, 0, 3, 1, 2, 3, 0xE0, 0, 0]))
        #expect(known.address == mapped && known.byteCount == 37)
        for wrong in [[0x04, 0], [0x04, 0, 4, 1, 2, 3], [0x04]] as [[UInt8]] {
            #expect(parse(binary(1, 0x11, ipv4 + wrong)).answer == PS_MALFORMED.rawValue)
        }
        let rest = 4096 - 16 - 12 - 3
        let filler =
            [0x04, UInt8(rest >> 8), UInt8(rest & 255)] + [UInt8](repeating: 0, count: rest)
        #expect(parse(binary(1, 0x11, ipv4 + filler)).byteCount == 4096)
        #expect(parse(binary(1, 0x11, ipv4, length: 4081)).answer == PS_MALFORMED.rawValue)
        #expect(parse(binary(1, 0x11, ipv4, length: 65535)).answer == PS_MALFORMED.rawValue)
    }

    @Test func `a checksum that is there has to be right`() {
        func header(_ checksum: UInt32) -> [UInt8] {
            binary(
                1, 0x11,
                ipv4 + [0x03, 0, 4]
                    + (0..<4).map { UInt8(truncatingIfNeeded: checksum >> (24 - 8 * $0)) })
        }
        var crc: UInt32 = .max
        for byte in header(0) {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0x82F6_3B78 : 0) }
        }
        #expect(parse(header(~crc)).address == mapped)
        #expect(parse(header(crc)).answer == PS_MALFORMED.rawValue)
        #expect(parse(binary(1, 0x11, ipv4 + [0x03, 0, 0])).answer == PS_MALFORMED.rawValue)
    }

    @Test func `unassigned numbers and short addresses are malformed`() {
        for bytes in [
            binary(2, 0x11, ipv4), binary(1, 0x41, ipv4), binary(1, 0x13, ipv4),
            binary(1, 0x11, Array(ipv4.dropLast())), binary(1, 0x21, ipv4),
            binary(1, 0x31, ipv4),
            Self.signature + [0x11, 0x11, 0, 12] + ipv4,
        ] {
            #expect(parse(bytes).answer == PS_MALFORMED.rawValue)
        }
    }

    @Test func `cut anywhere, more is waited for`() {
        for whole in [
            Array("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n".utf8), binary(1, 0x11, ipv4),
            binary(0, 0, [1, 2]),
        ] {
            for count in 0..<whole.count {
                #expect(parse(Array(whole[..<count])).answer == PS_PARTIAL.rawValue)
            }
            #expect(parse(whole).answer == PS_DONE.rawValue)
        }
    }
}

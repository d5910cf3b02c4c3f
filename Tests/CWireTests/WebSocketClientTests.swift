import CWire
import Testing

@Suite struct WebSocketClientTests {
    @Test(arguments: [0, 1, 125, 126, 65_535, 65_536] as [UInt64])
    func `a header that a client writes is read by a server`(payloadBytes: UInt64) {
        let mask: [UInt8] = [1, 2, 3, 4]
        var bytes = [UInt8](repeating: 0, count: 14)
        let count = ps_ws_write_client_header(&bytes, 1, payloadBytes, mask)
        var header = ps_ws_header()
        for cut in 0..<count {
            #expect(ps_ws_parse_header(&header, bytes, cut, false) == PS_PARTIAL.rawValue)
        }
        #expect(ps_ws_parse_header(&header, bytes, count, false) == PS_DONE.rawValue)
        #expect(header.payload_bytes == payloadBytes)
        #expect(Int(header.header_bytes) == count)
        #expect(header.mask == (1, 2, 3, 4))
    }

    @Test(arguments: [0, 1, 125, 126, 65_535, 65_536] as [UInt64])
    func `a header that a server writes is read by a client`(payloadBytes: UInt64) {
        var bytes = [UInt8](repeating: 0, count: 14)
        let count = ps_ws_write_header(&bytes, 2, false, payloadBytes)
        var header = ps_ws_header()
        for cut in 0..<count {
            #expect(ps_ws_parse_server_header(&header, bytes, cut) == PS_PARTIAL.rawValue)
        }
        #expect(ps_ws_parse_server_header(&header, bytes, count) == PS_DONE.rawValue)
        #expect(header.payload_bytes == payloadBytes)
        #expect(Int(header.header_bytes) == count)
    }

    @Test(
        arguments: [
            [0x81, 0x80], [0xC1, 0x00], [0xA1, 0x00], [0x83, 0x00], [0x09, 0x00],
            [0x89, 0x7E, 0, 200],
            [0x81, 0x7E, 0, 5],
        ] as [[UInt8]])
    func `what a server must not send is refused`(bytes: [UInt8]) {
        var header = ps_ws_header()
        #expect(
            ps_ws_parse_server_header(&header, bytes, bytes.count) == PS_MALFORMED.rawValue)
    }
}

import CWire
import Testing

/// What a conversation came to: the frames and messages that were taken, then the close code of a
/// violation, or the code to echo.
enum WebSocketEvent: Equatable {
    case text(String)
    case binary(Int)
    case ping(Int)
    case pong
    case closed(UInt16)
    case failed(UInt16)
}

/// Feeds a stream of client's frames the way a connection does, `pieceBytes` of payload at a time.
func converse(
    _ stream: [UInt8], pieceBytes: Int = .max,
    limits: ps_ws_limits = ps_ws_limits(message_bytes: 65536, fragment_count: 128)
) -> [WebSocketEvent] {
    var events: [WebSocketEvent] = []
    var message = ps_ws_message()
    var (data, limits) = ([] as [UInt8], limits)
    var rest = stream[...]
    while true {
        var header = ps_ws_header()
        let answer = withGuarded(rest.prefix(14)) {
            ps_ws_parse_header(&header, $0, min(rest.count, 14), false)
        }
        guard answer != PS_MALFORMED.rawValue else { return events + [.failed(1002)] }
        guard answer == PS_DONE.rawValue else { return events }
        rest = rest.dropFirst(Int(header.header_bytes))
        let isControl = header.opcode >= 8
        if !isControl {
            let code = ps_ws_message_begin_frame(&message, &header, &limits)
            if code != 0 { return events + [.failed(code)] }
        }
        var payload = Array(rest.prefix(Int(header.payload_bytes)))
        rest = rest.dropFirst(payload.count)
        var mask = header.mask
        withUnsafeBytes(of: &mask) {
            ps_ws_unmask(&payload, payload.count, $0.bindMemory(to: UInt8.self).baseAddress, 0)
        }
        guard !isControl else {
            switch header.opcode {
            case 9: events.append(.ping(payload.count))
            case 10: events.append(.pong)
            default:
                var echo: UInt16 = 0
                let code = ps_ws_parse_close(&echo, payload, payload.count)
                return events + [code == 0 ? .closed(echo) : .failed(code)]
            }
            continue
        }
        for start in stride(from: 0, to: payload.count, by: min(pieceBytes, 1 << 40)) {
            let piece = payload[start..<min(payload.count, start + min(pieceBytes, 1 << 40))]
            let code = withGuarded(piece) { ps_ws_message_feed(&message, $0, piece.count) }
            if code != 0 { return events + [.failed(code)] }
        }
        data += payload
        if UInt64(payload.count) < header.payload_bytes { return events }
        var isComplete = false
        let code = ps_ws_message_end_frame(&message, &header, &isComplete)
        if code != 0 { return events + [.failed(code)] }
        if isComplete {
            let isText = message.opcode == 1
            events.append(
                isText ? .text(String(decoding: data, as: UTF8.self)) : .binary(data.count))
            (data, message) = ([], ps_ws_message())
        }
    }
}

/// The core rules of RFC 6455 as the Autobahn suite groups them: 1 framing, 2 pings, 3 reserved
/// bits, 4 opcodes, 5 fragmentation, 6 UTF-8, 7 closing.
@Suite struct WebSocketMessageTests {
    private static func text(_ string: String, fin: Bool = true, opcode: UInt8 = 1) -> [UInt8] {
        ClientFrame(opcode: opcode, payload: Array(string.utf8), fin: fin).bytes
    }

    private static func data(_ bytes: [UInt8], fin: Bool = true, opcode: UInt8 = 1) -> [UInt8] {
        ClientFrame(opcode: opcode, payload: bytes, fin: fin).bytes
    }

    private static func control(_ opcode: UInt8, _ payload: [UInt8] = []) -> [UInt8] {
        ClientFrame(opcode: opcode, payload: payload).bytes
    }

    private static let close = control(8, [3, 232])
    private static let kosme = Array("κόσμε".utf8)
    private static let bad: [UInt8] = kosme + [0xed, 0xa0, 0x80] + Array("edited".utf8)

    static let conversations: [(String, [UInt8], [WebSocketEvent])] = [
        ("1 empty text", text("") + close, [.text(""), .closed(1000)]),
        (
            "1 text of 125", text(String(repeating: "*", count: 125)),
            [.text(String(repeating: "*", count: 125))]
        ),
        (
            "1 text of 126", text(String(repeating: "*", count: 126)),
            [.text(String(repeating: "*", count: 126))]
        ),
        (
            "1 text of 65536", text(String(repeating: "*", count: 65536)),
            [.text(String(repeating: "*", count: 65536))]
        ),
        (
            "1 binary of 65536", data(Array(repeating: 0xfe, count: 65536), opcode: 2),
            [.binary(65536)]
        ),
        ("1 text of 65537", text(String(repeating: "*", count: 65537)), [.failed(1009)]),
        ("1 two messages", text("a") + text("b"), [.text("a"), .text("b")]),
        ("2 empty ping", control(9), [.ping(0)]),
        ("2 ping of 125", control(9, Array(repeating: 0, count: 125)), [.ping(125)]),
        (
            "2 ping of 126", ClientFrame(opcode: 9, payload: Array(repeating: 0, count: 126)).bytes,
            [.failed(1002)]
        ),
        (
            "2 unsolicited pongs", control(10) + control(10, [1]) + control(9, [2]),
            [.pong, .pong, .ping(1)]
        ),
        ("3 reserved bits", ClientFrame(opcode: 1, reservedBits: 1).bytes, [.failed(1002)]),
        (
            "3 after a message", text("a") + ClientFrame(opcode: 1, reservedBits: 4).bytes,
            [.text("a"), .failed(1002)]
        ),
        ("4 reserved opcode", text("a") + control(5) + text("b"), [.text("a"), .failed(1002)]),
        ("4 reserved control opcode", control(13, [1, 2]), [.failed(1002)]),
        ("4 unmasked", ClientFrame(opcode: 1, payload: [65], mask: nil).bytes, [.failed(1002)]),
        (
            "4 mask of zeros", ClientFrame(opcode: 1, payload: [65], mask: [0, 0, 0, 0]).bytes,
            [.text("A")]
        ),
        ("5 fragmented ping", ClientFrame(opcode: 9, fin: false).bytes, [.failed(1002)]),
        ("5 two fragments", text("a", fin: false) + text("b", opcode: 0), [.text("ab")]),
        (
            "5 ping between fragments",
            text("a", fin: false) + control(9, [1]) + text("b", opcode: 0),
            [.ping(1), .text("ab")]
        ),
        (
            "5 empty fragments",
            text("", fin: false) + text("", fin: false, opcode: 0)
                + text("", opcode: 0), [.text("")]
        ),
        ("5 continuation of nothing", text("a", opcode: 0), [.failed(1002)]),
        (
            "5 unfinished continuation of nothing", text("a", fin: false, opcode: 0),
            [.failed(1002)]
        ),
        (
            "5 continuation after a whole message", text("a") + text("b", opcode: 0),
            [.text("a"), .failed(1002)]
        ),
        ("5 text inside a message", text("a", fin: false) + text("b"), [.failed(1002)]),
        (
            "5 binary inside a message", text("a", fin: false) + data([1], opcode: 2),
            [.failed(1002)]
        ),
        (
            "5 fragments past the size",
            text(String(repeating: "*", count: 65536), fin: false)
                + text("b", opcode: 0), [.failed(1009)]
        ),
        (
            "5 128 fragments",
            text("", fin: false)
                + (0..<126).flatMap { _ in text("", fin: false, opcode: 0) } + text("", opcode: 0),
            [.text("")]
        ),
        (
            "5 129 fragments",
            text("", fin: false)
                + (0..<127).flatMap { _ in text("", fin: false, opcode: 0) } + text("", opcode: 0),
            [.failed(1008)]
        ),
        ("6 valid", data(kosme), [.text("κόσμε")]),
        ("6 invalid", data(bad), [.failed(1007)]),
        ("6 invalid in the first fragment", data(bad, fin: false), [.failed(1007)]),
        (
            "6 a character over fragments",
            kosme.enumerated().flatMap { index, byte in
                data([byte], fin: index == kosme.count - 1, opcode: index == 0 ? 1 : 0)
            }, [.text("κόσμε")]
        ),
        (
            "6 ping inside a character",
            data([0xf0, 0x9f], fin: false) + control(9)
                + data([0x8e, 0x89], opcode: 0), [.ping(0), .text("🎉")]
        ),
        ("6 ends inside a character", data([0xf0, 0x9f, 0x8e]), [.failed(1007)]),
        (
            "6 ends inside a character, last fragment empty",
            data([0xf0, 0x9f], fin: false)
                + data([], opcode: 0), [.failed(1007)]
        ),
        (
            "6 a byte order mark and NUL are text", data([0xef, 0xbb, 0xbf, 0]),
            [.text("\u{feff}\0")]
        ),
        ("6 binary may be anything", data([0xff, 0xc0], opcode: 2), [.binary(2)]),
        (
            "6 the next message begins anew", data([0xff], opcode: 2) + data(kosme),
            [.binary(1), .text("κόσμε")]
        ),
        ("7 empty close", control(8), [.closed(1000)]),
        ("7 close of one byte", control(8, [3]), [.failed(1002)]),
        ("7 close with code 4999", control(8, [19, 135]), [.closed(4999)]),
        ("7 close with code 1005", control(8, [3, 237]), [.failed(1002)]),
        ("7 close with a bad reason", control(8, [3, 232, 0xff]), [.failed(1007)]),
        ("7 close inside a message", text("a", fin: false) + close, [.closed(1000)]),
        ("7 HTTP after the switch", Array("GET / HTTP/1.1\r\n\r\n".utf8), [.failed(1002)]),
    ]

    @Test(arguments: conversations)
    func `the rules of the protocol hold`(
        name: String, stream: [UInt8], events: [WebSocketEvent]
    ) {
        #expect(converse(stream) == events, "\(name)")
        if stream.count < 1000 {
            #expect(converse(stream, pieceBytes: 1) == events, "\(name), byte by byte")
            #expect(converse(stream, pieceBytes: 3) == events, "\(name), by threes")
        }
    }

    @Test func `compressed text is not taken for UTF-8`() {
        var header = ps_ws_header()
        (header.opcode, header.compressed, header.fin, header.payload_bytes) = (1, true, true, 2)
        var message = ps_ws_message()
        var limits = ps_ws_limits(message_bytes: 2, fragment_count: 1)
        var isComplete = false
        #expect(ps_ws_message_begin_frame(&message, &header, &limits) == 0)
        #expect(message.compressed && message.bytes == 2)
        #expect(ps_ws_message_feed(&message, [0xff, 0xff], 2) == 0)
        #expect(ps_ws_message_end_frame(&message, &header, &isComplete) == 0 && isComplete)
    }

    @Test func `the largest announced payload does not wrap the sum`() {
        var header = ps_ws_header()
        (header.opcode, header.fin, header.payload_bytes) = (1, false, 10)
        var message = ps_ws_message()
        var limits = ps_ws_limits(message_bytes: 100, fragment_count: 10)
        #expect(ps_ws_message_begin_frame(&message, &header, &limits) == 0)
        (header.opcode, header.payload_bytes) = (0, UInt64(Int64.max))
        #expect(ps_ws_message_begin_frame(&message, &header, &limits) == 1009)
    }
}

import CZlib

extension TestClient {
    static let offersDeflate = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
}

/// Compresses as a client with any window may, and leaves the tail out (RFC 7692 §7.2.1).
/// - Parameters:
///   - after: what the client sent before, where it keeps its context.
///   - flush: `Z_FINISH` ends with a final block, and the empty one that must follow it.
func deflated(
    _ bytes: [UInt8], after earlier: [UInt8] = [], flush: Int32 = Z_SYNC_FLUSH
) -> [UInt8] {
    var stream = z_stream()
    precondition(
        deflateInit2_(
            &stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size)) == Z_OK)
    defer { deflateEnd(&stream) }
    if !earlier.isEmpty { _ = run(&stream, earlier) { deflate($0, Z_SYNC_FLUSH) } }
    let out = run(&stream, bytes) { deflate($0, flush) }
    return flush == Z_FINISH ? out + [0] : out.dropLast(4)
}

/// Expands one message of the server's, which must need no larger window than it names.
func inflated(_ bytes: [UInt8]) -> [UInt8]? {
    var stream = z_stream()
    precondition(
        inflateInit2_(&stream, -9, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK)
    defer { inflateEnd(&stream) }
    var isGood = true
    let out = run(&stream, bytes + [0, 0, 0xff, 0xff]) {
        let result = inflate($0, Z_SYNC_FLUSH)
        isGood = isGood && result == Z_OK
        return result
    }
    return isGood ? out : nil
}

private func run(
    _ stream: inout z_stream, _ bytes: [UInt8], _ step: (UnsafeMutablePointer<z_stream>) -> Int32
) -> [UInt8] {
    var input = bytes
    var out = [UInt8](repeating: 0, count: bytes.count * 1_100 + 1_000)
    let produced = input.withUnsafeMutableBufferPointer { input in
        out.withUnsafeMutableBufferPointer { out in
            stream.next_in = input.baseAddress
            stream.avail_in = UInt32(input.count)
            stream.next_out = out.baseAddress
            stream.avail_out = UInt32(out.count)
            _ = step(&stream)
            return out.count - Int(stream.avail_out)
        }
    }
    return Array(out[..<produced])
}

import CLoad
import Testing

struct FrameTests {
    /// A server's frame, unmasked.
    private func serverFrame(opcode: UInt8, payload: [UInt8]) -> [UInt8] {
        var frame: [UInt8] = [0x80 | opcode]
        switch payload.count {
        case ..<126: frame.append(UInt8(payload.count))
        case ..<65536: frame += [126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        default: frame += [127] + (0..<8).reversed().map { UInt8(payload.count >> ($0 * 8) & 255) }
        }
        return frame + payload
    }

    private func payload(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    }

    @Test(arguments: [0, 1, 125, 126, 127, 65535, 65536, 128 * 1024])
    func `a frame of any length is read back`(count: Int) {
        let bytes = serverFrame(opcode: UInt8(LD_TEXT), payload: payload(count))
        var frame = ld_frame()
        // What follows belongs to the next frame.
        let used = ld_frame_parse(&frame, bytes + [0x81], bytes.count + 1)
        #expect(Int(used) == bytes.count)
        #expect(frame.payload_bytes == count)
        #expect(Int32(frame.opcode) == Int32(LD_TEXT))
    }

    @Test(arguments: [3, 125, 126, 300])
    func `a frame cut anywhere is partial`(count: Int) {
        let bytes = serverFrame(opcode: UInt8(LD_TEXT), payload: payload(count))
        for cut in 0..<bytes.count {
            var frame = ld_frame()
            let piece = Array(bytes[..<cut])
            #expect(ld_frame_parse(&frame, piece, cut) == Int32(LD_PARTIAL), "cut at \(cut)")
        }
    }

    @Test(
        arguments: [
            [0x01, 0x00],  // a fragment
            [0xc1, 0x00],  // RSV1
            [0x83, 0x00],  // a reserved opcode
            [0x81, 0x80, 1, 2, 3, 4],  // masked
            [0x81, 127, 0, 0, 0, 0, 0, 2, 0, 1],  // 128 KiB and one byte
            [0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],  // the top bit
        ] as [[UInt8]])
    func `what a server must not send is malformed`(bytes: [UInt8]) {
        var frame = ld_frame()
        #expect(ld_frame_parse(&frame, bytes, bytes.count) == Int32(LD_MALFORMED))
    }

    @Test(arguments: [0, 1, 7, 125, 126, 65535, 65536])
    func `a written frame unmasks to its payload`(count: Int) {
        let payload = payload(count)
        var bytes = [UInt8](repeating: 0, count: count + Int(LD_FRAME_HEADER_BYTES_MAX))
        let written = ld_frame_write(&bytes, UInt8(LD_TEXT), payload, count, 0x1234_5678)
        let header = count < 126 ? 2 : count < 65536 ? 4 : 10
        #expect(written == header + 4 + count)
        #expect(bytes[0] == 0x81)
        #expect(bytes[1] & 0x80 != 0)
        let key = bytes[header..<(header + 4)]
        let masked = bytes[(header + 4)..<written]
        let unmasked = masked.enumerated().map { $1 ^ key[header + $0 % 4] }
        #expect(unmasked == payload)
    }
}

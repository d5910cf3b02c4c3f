import CReactor
import CWire

extension Frame {
    /// Bytes as they are.
    package init(raw bytes: [UInt8], on loop: Loop) {
        // `withUnsafeBytes` cannot give back a frame, which must not be copied.
        let created = bytes.withUnsafeBufferPointer {
            ps_frame_create_raw(loop.handle, $0.baseAddress, $0.count)
        }
        guard let created else { preconditionFailure("not enough memory for a frame") }
        handle = created
    }

    /// Adds one WebSocket text message with its header to `bytes`, for a frame of several messages.
    package static func append(text: UnsafeRawBufferPointer, to bytes: inout [UInt8]) {
        withUnsafeTemporaryAllocation(
            of: UInt8.self, capacity: PS_WS_SERVER_HEADER_BYTES_MAX
        ) { header in
            let count = ps_ws_write_header(
                header.baseAddress, UInt8(PS_WS_TEXT.rawValue), false, UInt64(text.count))
            bytes.append(contentsOf: header[..<count])
        }
        bytes.append(contentsOf: text)
    }
}

import CReactor
import CWire

extension Frame {
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

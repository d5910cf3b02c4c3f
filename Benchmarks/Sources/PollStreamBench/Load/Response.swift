import CLoad
import Foundation

/// A whole HTTP answer, by the same parser that the load uses.
enum Response {
    /// Nil while bytes are missing.
    static func parse(_ bytes: [UInt8]) throws -> (status: Int, body: Data)? {
        var response = ld_response()
        return try bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return nil }
            switch ld_response_parse(&response, base, buffer.count) {
            case Int32(LD_PARTIAL): return nil
            case Int32(LD_MALFORMED): throw Failure.server("a malformed HTTP answer")
            default: break
            }
            return (Int(response.status), Data(bytes: response.body, count: response.body_bytes))
        }
    }
}

import CLibpq
import Polls

/// The parameters of one statement, in the binary format: no quoting, no escaping.
struct PostgresParameters {
    private var types: [Oid] = []
    /// One after another; -1 marks NULL.
    private var lengths: [Int32] = []
    private var bytes = NetworkBytes()

    init() {}

    mutating func append(_ value: Int64?) {
        append(.bigint, value == nil) { if let value { $0.append(value) } }
    }

    mutating func append(_ value: Bool) {
        append(.bool, false) { $0.append(value ? 1 : 0 as UInt8) }
    }

    mutating func append(_ value: String) { append(.text, false) { $0.append(utf8: value) } }

    mutating func append(_ value: [UInt8]) { append(.bytea, false) { $0.append(value) } }

    mutating func append(_ value: BallotKey?) {
        append(.uuid, value == nil) { if let value { $0.append(value) } }
    }

    mutating func append(_ values: [Int64?]) {
        append(.bigintArray, of: .bigint, values) { bytes, value in
            if let value { bytes.appendField { $0.append(value) } } else { bytes.appendNull() }
        }
    }

    mutating func append(_ values: [BallotKey]) {
        append(.uuidArray, of: .uuid, values) { bytes, value in
            bytes.appendField { $0.append(value) }
        }
    }

    mutating func append(_ values: [String]) {
        append(.textArray, of: .text, values) { bytes, value in
            bytes.appendField { $0.append(utf8: value) }
        }
    }

    private mutating func append(_ type: Oid, _ isNull: Bool, _ body: (inout NetworkBytes) -> Void)
    {
        let start = bytes.count
        body(&bytes)
        types.append(type)
        lengths.append(isNull ? -1 : Int32(bytes.count - start))
    }

    /// One dimension, counted from 1.
    private mutating func append<Value>(
        _ type: Oid, of element: Oid, _ values: [Value], _ body: (inout NetworkBytes, Value) -> Void
    ) {
        append(type, false) { bytes in
            bytes.append(values.isEmpty ? 0 : 1 as Int32)  // dimensions
            bytes.append(1 as Int32)  // may hold NULL
            bytes.append(Int32(bitPattern: element))
            if values.isEmpty { return }
            bytes.append(Int32(values.count))
            bytes.append(1 as Int32)
            for value in values { body(&bytes, value) }
        }
    }

    /// Lends the parameters as libpq takes them.
    func withArguments<R>(
        _ body: (
            Int32, UnsafePointer<Oid>?, UnsafePointer<UnsafePointer<CChar>?>?,
            UnsafePointer<Int32>?, UnsafePointer<Int32>?
        ) -> R
    ) -> R {
        bytes.withUnsafeBytes { buffer in
            var offset = 0
            let values = lengths.map { length -> UnsafePointer<CChar>? in
                if length < 0 { return nil }
                defer { offset += Int(length) }
                // An empty value still needs an address: NULL has none.
                return (buffer.baseAddress ?? Self.nowhere).advanced(by: offset)
                    .assumingMemoryBound(to: CChar.self)
            }
            let formats = [Int32](repeating: 1, count: lengths.count)
            return body(Int32(lengths.count), types, values, lengths, formats)
        }
    }

    nonisolated(unsafe) private static let nowhere = UnsafeRawPointer(
        UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 1))
}

/// PostgreSQL's numbers of its types; fixed for ever (pg_type.dat).
extension Oid {
    fileprivate static let bool: Oid = 16
    fileprivate static let bytea: Oid = 17
    fileprivate static let bigint: Oid = 20
    fileprivate static let text: Oid = 25
    fileprivate static let textArray: Oid = 1009
    fileprivate static let bigintArray: Oid = 1016
    fileprivate static let uuid: Oid = 2950
    fileprivate static let uuidArray: Oid = 2951
}

import CWire

/// Writes one JSON text into an array of bytes that can be used again.
///
///     var json = JSONWriter(reusing: buffer)
///     json.beginObject()
///     json.member("type", "tally")
///     json.member("revision", 43)
///     json.member("counts", [11, 4])
///     json.endObject()
///     send(json.bytes)
///
/// Commas come by themselves; that brackets match and names precede values is the caller's part.
/// Strings are escaped so that the text may also stand inside a script element.
package struct JSONWriter {
    package private(set) var bytes: [UInt8]

    /// Whether a value came before in the same container: then the next needs a comma.
    private var followsValue = false

    /// Takes over a buffer for its capacity; what it held is gone.
    package init(reusing buffer: consuming [UInt8] = []) {
        buffer.removeAll(keepingCapacity: true)
        bytes = buffer
    }

    /// Begins a new text in the same memory.
    package mutating func restart() {
        bytes.removeAll(keepingCapacity: true)
        followsValue = false
    }

    // MARK: Containers

    package mutating func beginObject() { open(UInt8(ascii: "{")) }
    package mutating func endObject() { close(UInt8(ascii: "}")) }
    package mutating func beginArray() { open(UInt8(ascii: "[")) }
    package mutating func endArray() { close(UInt8(ascii: "]")) }

    // MARK: Members

    /// The name of the member whose value comes next. It is written as it is: no name of ours needs
    /// an escape.
    package mutating func name(_ name: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        name.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
        followsValue = false
    }

    /// A member with a string, or null.
    package mutating func member(_ name: StaticString, _ string: String?) {
        self.name(name)
        if let string { value(string) } else { null() }
    }

    /// A member with an integer, or null.
    package mutating func member(_ name: StaticString, _ integer: Int64?) {
        self.name(name)
        if let integer { value(integer) } else { null() }
    }

    package mutating func member(_ name: StaticString, _ count: Int) {
        member(name, Int64(count))
    }

    package mutating func member(_ name: StaticString, _ bool: Bool) {
        self.name(name)
        value(bool)
    }

    package mutating func member(_ name: StaticString, _ integers: some Sequence<Int64>) {
        self.name(name)
        beginArray()
        for integer in integers { value(integer) }
        endArray()
    }

    /// A member with a time as in ``Timestamp``, or null.
    package mutating func member(_ name: StaticString, unixMilliseconds: Int64?) {
        self.name(name)
        if let unixMilliseconds { value(unixMilliseconds: unixMilliseconds) } else { null() }
    }

    /// A member whose value is JSON already.
    package mutating func member(_ name: StaticString, raw text: UnsafeRawBufferPointer) {
        self.name(name)
        raw(text)
    }

    // MARK: Values

    package mutating func value(_ string: String) {
        separate()
        var string = string
        string.withUTF8 { text in
            // The escaped form of six bytes for each is the worst case.
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 6 * text.count + 2) { out in
                let count = ps_json_write_string(out.baseAddress, text.baseAddress, text.count)
                bytes.append(contentsOf: out[..<count])
            }
        }
        followsValue = true
    }

    package mutating func value(_ integer: Int64) {
        separate()
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { out in
            let count = ps_json_write_int64(out.baseAddress, integer)
            bytes.append(contentsOf: out[..<count])
        }
        followsValue = true
    }

    package mutating func value(_ bool: Bool) {
        literal(bool ? "true" : "false")
    }

    package mutating func null() {
        literal("null")
    }

    /// A time as a string, as in ``Timestamp``.
    package mutating func value(unixMilliseconds: Int64) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        Timestamp.append(unixMilliseconds: unixMilliseconds, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
        followsValue = true
    }

    /// A value that is JSON already.
    package mutating func raw(_ text: UnsafeRawBufferPointer) {
        separate()
        bytes.append(contentsOf: text)
        followsValue = true
    }

    // MARK: Details

    private mutating func literal(_ word: StaticString) {
        separate()
        word.withUTF8Buffer { bytes.append(contentsOf: $0) }
        followsValue = true
    }

    private mutating func separate() {
        if followsValue { bytes.append(UInt8(ascii: ",")) }
    }

    private mutating func open(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        followsValue = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        followsValue = true
    }
}

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
    /// Written up to `count`; the rest is room, so that values are written in place.
    private var memory: [UInt8]
    private var count = 0

    /// Whether a value came before in the same container: then the next needs a comma.
    private var followsValue = false

    /// Takes over a buffer for the memory it has; what it held is gone.
    package init(reusing buffer: consuming [UInt8] = []) {
        memory = buffer
    }

    /// The text so far. Let go of it before writing on, or the memory is copied.
    package var bytes: ArraySlice<UInt8> { memory[..<count] }

    /// Begins a new text in the same memory.
    package mutating func restart() {
        count = 0
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
        let nameCount = name.utf8CodeUnitCount
        write(atMost: nameCount + 3) { out in
            out[0] = UInt8(ascii: "\"")
            (out + 1).update(from: name.utf8Start, count: nameCount)
            out[nameCount + 1] = UInt8(ascii: "\"")
            out[nameCount + 2] = UInt8(ascii: ":")
            return nameCount + 3
        }
        followsValue = false
    }

    /// As above, for a name that is not known beforehand.
    package mutating func name(_ name: String) {
        var name = name
        name.withUTF8 { text in
            write(atMost: 6 * text.count + 3) { out in
                let count = ps_json_write_string(out, text.baseAddress, text.count)
                out[count] = UInt8(ascii: ":")
                return count + 1
            }
        }
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

    package mutating func member(_ name: StaticString, _ integers: [Int64]) {
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

    // MARK: Values

    package mutating func value(_ string: String) {
        var string = string
        string.withUTF8 { text in
            // Six bytes for each and the quotes are the worst case.
            write(atMost: 6 * text.count + 2) {
                ps_json_write_string($0, text.baseAddress, text.count)
            }
        }
    }

    package mutating func value(_ integer: Int64) {
        write(atMost: 20) { ps_json_write_int64($0, integer) }
    }

    package mutating func value(_ bool: Bool) {
        literal(bool ? "true" : "false")
    }

    package mutating func null() {
        literal("null")
    }

    /// A time as a string, as in ``Timestamp``.
    package mutating func value(unixMilliseconds: Int64) {
        write(atMost: Timestamp.bytesMax + 2) { out in
            let count = Timestamp.write(unixMilliseconds: unixMilliseconds, to: out + 1)
            out[0] = UInt8(ascii: "\"")
            out[count + 1] = UInt8(ascii: "\"")
            return count + 2
        }
    }

    /// A value that is JSON already.
    package mutating func raw(_ text: UnsafeRawBufferPointer) {
        write(atMost: text.count) { out in
            UnsafeMutableRawBufferPointer(start: out, count: text.count).copyMemory(from: text)
            return text.count
        }
    }

    // MARK: Details

    private mutating func literal(_ word: StaticString) {
        write(atMost: word.utf8CodeUnitCount) { out in
            out.update(from: word.utf8Start, count: word.utf8CodeUnitCount)
            return word.utf8CodeUnitCount
        }
    }

    private mutating func open(_ bracket: UInt8) {
        write(atMost: 1) { out in
            out[0] = bracket
            return 1
        }
        followsValue = false
    }

    private mutating func close(_ bracket: UInt8) {
        followsValue = false
        write(atMost: 1) { out in
            out[0] = bracket
            return 1
        }
    }

    /// Writes a comma where one is due, then what `fill` writes at the pointer: at most that many
    /// bytes, as many as it returns.
    private mutating func write(
        atMost mostBytes: Int, _ fill: (UnsafeMutablePointer<UInt8>) -> Int
    ) {
        let room = memory.count - count
        if room <= mostBytes {
            let growth = max(mostBytes + 1 - room, memory.count, 256)
            memory.append(contentsOf: repeatElement(0, count: growth))
        }
        memory.withUnsafeMutableBufferPointer {
            guard let start = $0.baseAddress else { return }
            if followsValue {
                start[count] = UInt8(ascii: ",")
                count += 1
            }
            count += fill(start + count)
        }
        followsValue = true
    }
}

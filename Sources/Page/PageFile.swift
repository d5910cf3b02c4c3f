import Identity

/// A file of the web application, as it was built into the program (`build`).
package struct PageFile: Sendable {
    /// Where it is served.
    package let path: StaticString
    package let plain: [UInt8]
    /// The same by gzip (RFC 1952).
    package let gzipped: [UInt8]

    /// As base64url: a literal of bytes takes the compiler a hundred times longer.
    init(
        _ path: StaticString, _ plainCount: Int, _ plain: StaticString, _ gzippedCount: Int,
        _ gzipped: StaticString
    ) {
        self.path = path
        self.plain = PageFile.decode(plain, byteCount: plainCount)
        self.gzipped = PageFile.decode(gzipped, byteCount: gzippedCount)
    }

    private static func decode(_ text: StaticString, byteCount: Int) -> [UInt8] {
        text.withUTF8Buffer { text in
            guard let bytes = Base64URL.decode(UnsafeRawBufferPointer(text), byteCount: byteCount)
            else { preconditionFailure("the build wrote a file that cannot be read") }
            return bytes
        }
    }

    /// The page itself, which stands at many paths and not at its own.
    package static let document = built.first { $0.path.description == "/page.html" }!
    /// Everything else.
    package static let files = built.filter { $0.path.description != "/page.html" }
}

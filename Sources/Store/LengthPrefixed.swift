/// Texts one after another behind their lengths in bytes, "4:Soup5:Salad": what a statement of either
/// database can put together, whatever stands in them.
enum LengthPrefixed {
    /// - Returns: nil for anything that is not put together like this.
    static func split(_ text: String) -> [String]? {
        var rest = Substring(text).utf8[...]
        var texts: [String] = []
        while let colon = rest.firstIndex(of: UInt8(ascii: ":")) {
            guard let length = Int(Substring(rest[..<colon])), length >= 0,
                let end = rest.index(colon, offsetBy: length + 1, limitedBy: rest.endIndex)
            else { return nil }
            texts.append(String(Substring(rest[rest.index(after: colon)..<end])))
            rest = rest[end...]
        }
        return rest.isEmpty ? texts : nil
    }
}

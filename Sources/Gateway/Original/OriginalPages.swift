import Polls
import Reactor

/// Pages by number, as Django REST framework's `PageNumberPagination` makes them.
extension ListPage {
    private static let originalSizeLimit = 20

    /// - Throws: `invalidPage`. A bad size is the usual one.
    init(original query: Query) throws {
        self.init()
        let size = try query.value("page_size").flatMap { $0.withUnsafeBytes(\.decimalInteger) }
        if let size, size >= 1 { self.size = Int(min(size, Int64(Self.originalSizeLimit))) }
        guard let text = try query.value("page") else { return }
        // What lies past 2^40 is past the end, and page × size stays far from overflowing.
        guard let number = text.withUnsafeBytes(\.decimalInteger), (1...1 << 40).contains(number)
        else { throw OriginalFailure.invalidPage }
        self.number = Int(number)
    }
}

/// Absolute links to other pages: all parameters decoded, sorted by name, and encoded again.
struct OriginalLinks {
    private let base: String
    /// Without `page`; those of one name stay in their order.
    private let others: [(name: [UInt8], value: [UInt8])]

    init(base: String, query: Query) {
        self.base = base
        others = query.pairs.filter { !$0.name.elementsEqual("page".utf8) }
    }

    /// - Parameter page: the first has no number in its link.
    func link(to page: Int) -> String {
        var pairs = others
        if page > 1 { pairs.append((Array("page".utf8), Array("\(page)".utf8))) }
        // Stable: enumerated, as sort(by:) promises nothing.
        let sorted = pairs.enumerated().sorted {
            $0.element.name == $1.element.name
                ? $0.offset < $1.offset
                : $0.element.name.lexicographicallyPrecedes($1.element.name)
        }
        let query = sorted.map {
            PercentEncoding.encodeForm($0.element.name) + "="
                + PercentEncoding.encodeForm($0.element.value)
        }
        return query.isEmpty ? base : base + "?" + query.joined(separator: "&")
    }
}

extension Query {
    /// All parameters that can be decoded.
    fileprivate var pairs: [(name: [UInt8], value: [UInt8])] {
        var pairs: [(name: [UInt8], value: [UInt8])] = []
        var rest = text
        while var pair = rest.takeElement(before: UInt8(ascii: "&")) {
            guard let name = pair.takeElement(before: UInt8(ascii: "=")), !name.isEmpty,
                let name = PercentEncoding.decodeForm(name),
                let value = PercentEncoding.decodeForm(pair)
            else { continue }
            pairs.append((name, value))
        }
        return pairs
    }
}

extension PercentEncoding {
    /// As forms are encoded, with `+` for a space.
    fileprivate static func encodeForm(_ bytes: [UInt8]) -> String {
        var text = ""
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "-"), UInt8(ascii: "~"):
                text.unicodeScalars.append(Unicode.Scalar(byte))
            case UInt8(ascii: " "): text += "+"
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                text += digits.count == 1 ? "%0" + digits : "%" + digits
            }
        }
        return text
    }
}

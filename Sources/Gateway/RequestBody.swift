import JSON
import Polls
import Reactor

/// What a request's body is, by its Content-Type.
enum BodyType: Equatable {
    case json
    case form

    /// - Returns: nil for any other media type, and for a charset other than UTF-8: without a
    ///   Content-Type a page of any site could send a body (Fetch, "CORS-safelisted").
    init?(contentType field: UnsafeRawBufferPointer) {
        var rest = field
        let mediaType = rest.takeElement(before: UInt8(ascii: ";"))?.trimmed()
        if mediaType?.isEqualIgnoringCase(to: "application/json") ?? false {
            self = .json
        } else if mediaType?.isEqualIgnoringCase(to: "application/x-www-form-urlencoded") ?? false {
            self = .form
        } else {
            return nil
        }
        while let element = rest.takeElement(before: UInt8(ascii: ";")) {
            var value = element.trimmed()
            guard let name = value.takeElement(before: UInt8(ascii: "=")),
                name.isEqualIgnoringCase(to: "charset")
            else { continue }
            guard
                value.isEqualIgnoringCase(to: "utf-8") || value.isEqualIgnoringCase(to: "\"utf-8\"")
            else { return nil }
        }
    }
}

extension Request {
    /// - Throws: `unsupportedMediaType`.
    func bodyType() throws(APIError) -> BodyType {
        guard let field = field("content-type"), fieldCount("content-type") == 1,
            let type = BodyType(contentType: field)
        else { throw .unsupportedMediaType }
        return type
    }
}

extension Gateway {
    /// Reads a JSON body. The value is good until `body` returns.
    /// - Throws: also what `body` throws, a mismatch as `invalid`.
    func withJSON<Value>(
        of request: borrowing Request, _ body: (JSONValue) throws -> Value
    ) throws(APIError) -> Value {
        guard try request.bodyType() == .json else { throw .unsupportedMediaType }
        return try withJSON(text: request.body, body)
    }

    func withJSON<Value>(
        text: UnsafeRawBufferPointer, _ body: (JSONValue) throws -> Value
    ) throws(APIError) -> Value {
        do {
            return try body(try document.parse(text))
        } catch let error as APIError {
            throw error
        } catch let mismatch as JSONMismatch {
            throw .invalid(mismatch)
        } catch let invalid as InvalidPoll {
            throw .of(invalid)
        } catch {
            throw .malformedJSON
        }
    }
}

extension JSONValue {
    /// One of the words of an enum.
    func word<Word: RawRepresentable<String>>(
        _ field: String, _ message: String
    ) throws -> Word {
        guard let word = Word(rawValue: try string) else {
            throw APIError.invalid(field: field, message: message)
        }
        return word
    }

    /// A time, as Unix milliseconds.
    func time(_ field: String) throws -> Int64 {
        guard let time = Timestamp.parse(try string) else {
            throw APIError.invalid(
                field: field, message: "Give a time like 2030-01-31T18:00:00Z.")
        }
        return time
    }
}

import Polls
import Testing

@testable import Gateway

struct RouteErrorTests {
    static let all: [APIError] = [
        .malformedRequest, .malformedJSON, .notFound, .pageNotFound, .methodNotAllowed,
        .notAcceptable, .timeout, .tooLarge, .targetTooLong, .unsupportedMediaType,
        .expectationFailed, .upgradeRequired, .headTooLarge, .notImplemented, .versionNotSupported,
        .invalid(field: "title", message: "Give the poll a title."), .unauthorized, .invalidToken,
        .voterRequired, .forbidden, .originNotAllowed, .rateLimited, .tooManySubscriptions,
        .pollNotFound,
        .optionNotFound, .alreadyVoted, .pollNotOpen, .pollClosed, .hasBallots, .overloaded,
        .storageUnavailable, .draining, .commitUnknown,
    ]

    @Test(arguments: all)
    func `an error is one sentence that says what to do`(error: APIError) {
        #expect((400...599).contains(error.status))
        #expect(error.code.allSatisfy { $0 == "_" || ($0.isASCII && $0.isLowercase) })
        #expect(error.message.hasSuffix("."))
        #expect(!error.message.dropLast().contains(". "))
        #expect(error.message.first!.isUppercase)
        #expect(!error.message.contains("\n"))
        #expect((4..<300).contains(error.message.count))
    }

    @Test func `what may be tried again says when`() {
        for error in Self.all where error.status == 503 || error.code == "rate_limited" {
            #expect(error.retryAfterSeconds != nil, "\(error.code)")
        }
    }

    @Test func `who has to prove something hears how`() {
        for error in Self.all { #expect((error.challenge != nil) == (error.status == 401)) }
    }

    @Test func `each outcome of a ballot that is not stored has its error`() {
        let expected: [(BallotOutcome, Int, String)] = [
            (.alreadyVoted, 409, "already_voted"),
            (.rejected(.pollNotFound), 404, "poll_not_found"),
            (.rejected(.optionNotFound), 404, "option_not_found"),
            (.rejected(.optionsChanged), 404, "option_not_found"),
            (.rejected(.pollNotOpen), 409, "poll_not_open"),
            (.rejected(.pollClosed), 409, "poll_closed"),
            (.rejected(.invalid(field: "option_ids", message: "x.")), 422, "invalid"),
            (.overloaded, 503, "overloaded"),
            (.storageUnavailable, 503, "storage_unavailable"),
            (.commitUnknown, 504, "commit_unknown"),
        ]
        for (outcome, status, code) in expected {
            let error = APIError.of(outcome)
            #expect((error.status, error.code) == (status, code))
        }
        #expect(
            APIError.of(.rejected(.invalid(field: "option_ids", message: "x.")))
                == .invalid(field: "option_ids", message: "x."))
    }

    @Test func `each refusal of the catalogue has its error`() {
        let expected: [(CatalogueRefusal, Int, String)] = [
            (.pollNotFound, 404, "poll_not_found"), (.pollClosed, 409, "poll_closed"),
            (.hasBallots, 409, "has_ballots"), (.overloaded, 503, "overloaded"),
            (.storageUnavailable, 503, "storage_unavailable"),
            (.commitUnknown, 504, "commit_unknown"),
        ]
        for (refusal, status, code) in expected {
            let error = APIError.of(refusal)
            #expect((error.status, error.code) == (status, code))
        }
        do {
            _ = try PollDraft(.init(), now: 0)
            Issue.record("a poll without a title was taken")
        } catch {
            let told = APIError.of(CatalogueRefusal.invalid(error))
            #expect((told.status, told.code, told.field) == (422, "invalid", "title"))
        }
    }

    @Test func `each refusal of the reactor keeps its status`() {
        for status in [400, 408, 413, 414, 417, 431, 501, 505] {
            #expect(APIError.refused(status: status).status == status)
        }
    }

    @Test func `an answer says all that caches and browsers need`() {
        var answer = Answer(.overloaded)
        answer.vary = .caller
        let listed = String(
            decoding: answer.allFields(for: .page("https://a.example")).bytes, as: UTF8.self)
        #expect(
            listed == """
                Content-Type: application/json\r
                X-Content-Type-Options: nosniff\r
                Cache-Control: no-store\r
                Access-Control-Allow-Origin: https://a.example\r
                Access-Control-Allow-Credentials: true\r
                Access-Control-Expose-Headers: ETag, Location, Retry-After, X-Request-Id\r
                Vary: Authorization, Cookie, Origin\r
                Retry-After: 1\r\n
                """)
        let any = String(decoding: answer.allFields(for: .anyPage).bytes, as: UTF8.self)
        #expect(any.contains("Access-Control-Allow-Origin: *\r\n"))
        #expect(!any.contains("Credentials"))
        let none = String(decoding: answer.allFields(for: .none).bytes, as: UTF8.self)
        #expect(!none.contains("Access-Control"))
        #expect(none.contains("Vary: Authorization, Cookie, Origin\r\n"))
    }
}

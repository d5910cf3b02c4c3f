import Glibc
import Polls
import Telemetry
import Threads

@testable import Catalogue

/// A catalogue on a store in memory, and what it said, in order.
final class Office: Sendable {
    let store = MemoryStore()
    let exports = [MemoryStore(), MemoryStore()]
    let heard = Heard()
    let catalogue: Catalogue

    init(
        waitingRequests: Int = 100, waitingExports: Int = 2, requestLimit: Duration = .seconds(60),
        transitionCheck: Duration = .milliseconds(5), joinCodes: [String] = []
    ) {
        var settings = CatalogueSettings()
        settings.waitingRequests = waitingRequests
        settings.waitingExports = waitingExports
        settings.requestLimit = requestLimit
        settings.transitionCheck = transitionCheck
        let heard = heard
        let codes = Codes(joinCodes)
        catalogue = Catalogue(
            settings: settings, store: store, exports: exports, log: quiet,
            makeHostKey: { ("psh_key", [1, 2, 3]) }, makeJoinCode: { codes.next() },
            random: { 0 }, answered: { heard.hear($0) }, happened: { heard.hear($0) })
    }

    /// Asks, and waits for the answer.
    func ask(_ request: CatalogueRequest) -> CatalogueAnswer {
        let number = heard.newNumber()
        guard catalogue.ask(request, ticket: Ticket(loop: 0, number: number)) else {
            return .refused(.overloaded)
        }
        return heard.answer(to: number)
    }

    /// Asks without waiting. - Returns: the ticket's number, nil where it was not taken.
    func begin(_ request: CatalogueRequest) -> UInt32? {
        let number = heard.newNumber()
        return catalogue.ask(request, ticket: Ticket(loop: 0, number: number)) ? number : nil
    }

    func drain() -> Bool {
        catalogue.drain(until: Clock.monotonicNanoseconds() + 60_000_000_000)
    }
}

let quiet = Log(
    level: .error, format: .text, to: LogOutput(descriptor: open("/dev/null", O_WRONLY)),
    now: { 0 })

func draft(startsAt: Int64? = nil, endTime: Int64? = nil) throws -> PollDraft {
    var fields = PollDraft.Fields()
    fields.title = "Lunch"
    fields.options = ["soup", "salad"]
    fields.startsAt = startsAt
    fields.endTime = endTime
    return try PollDraft(fields, now: 0)
}

extension CatalogueAnswer {
    var record: PollRecord? {
        switch self {
        case .created(let record, _), .poll(let record): record
        default: nil
        }
    }

    var refusal: CatalogueRefusal? {
        if case .refused(let refusal) = self { refusal } else { nil }
    }
}

final class Heard: @unchecked Sendable {
    // Guarded by `monitor`: all that follow.
    private let monitor = Monitor()
    private var answers: [UInt32: CatalogueAnswer] = [:]
    private var lines: [String] = []
    private var changes: [(PollRecord, PollTransition)] = []
    private var numbers: UInt32 = 0

    /// What was said, a word each: events and answers.
    var story: [String] { monitor.withLock { lines } }

    func newNumber() -> UInt32 {
        monitor.withLock {
            numbers += 1
            return numbers
        }
    }

    func hear(_ reply: CatalogueReply) {
        monitor.withLock {
            precondition(answers.updateValue(reply.answer, forKey: reply.ticket.number) == nil)
            lines.append("answer")
        }
        monitor.signalAll()
    }

    func hear(_ event: PollEvent) {
        monitor.withLock {
            switch event {
            case .created: lines.append("created")
            case .changed(let record, let transition):
                lines.append("\(transition)")
                changes.append((record, transition))
            case .deleted(_, let revision): lines.append("deleted at \(revision)")
            case .tallies: lines.append("tallies")
            }
        }
        monitor.signalAll()
    }

    func answer(to number: UInt32) -> CatalogueAnswer {
        monitor.withLock {
            while answers[number] == nil { monitor.wait() }
            return answers[number]!
        }
    }

    /// Waits for so many changes.
    func changes(_ count: Int) -> [(record: PollRecord, transition: PollTransition)] {
        monitor.withLock {
            while changes.count < count { monitor.wait() }
            return changes.map { (record: $0.0, transition: $0.1) }
        }
    }
}

/// Join codes as given, then new ones.
private final class Codes: @unchecked Sendable {
    private let monitor = Monitor()
    // Guarded by `monitor`.
    private var given: [String]
    private var count = 0

    init(_ given: [String]) { self.given = given.reversed() }

    func next() -> String {
        monitor.withLock {
            if let code = given.popLast() { return code }
            count += 1
            return "CODE\(count)"
        }
    }
}

import Foundation
import Identity
import Polls

@testable import Gateway
@testable import Reactor

/// The rooms behind the front door, played in memory: a ledger and a catalogue that can be held
/// back, filled up, and made to speak. Thread-safe; what it decides happens in the calling thread.
final class Rooms: @unchecked Sendable {
    // `lock` guards everything below.
    private let lock = NSRecursiveLock()
    private var inboxes: [Int: Inbox<LoopMessage>] = [:]
    private var records: [PollID: PollRecord] = [:]
    private var ballots: [BallotKey: Choices] = [:]
    private var heldReads: [() -> Void] = []
    private var heldBallots: [Ballot] = []
    private var holdsReads = false
    private var holdsBallots = false
    private var isFull = false
    private var refusesBallotQuestions = false
    private(set) var readIDs: [PollID] = []

    var doors: Doors {
        Doors(
            enqueue: { self.enqueue($0) }, ask: { self.ask($0, $1) }, isReady: { true },
            metrics: { [] }, drain: { _ in },
            tellOthers: { message, from in
                self.lock.withLock {
                    for (index, inbox) in self.inboxes where index != Int(from) {
                        inbox.append(message)
                    }
                }
            })
    }

    func open(_ inbox: Inbox<LoopMessage>, of loop: Int) { lock.withLock { inboxes[loop] = inbox } }
    func close(loop: Int) { lock.withLock { inboxes[loop] = nil } }

    func tellAll(_ message: LoopMessage) {
        lock.withLock { for inbox in inboxes.values { inbox.append(message) } }
    }

    // MARK: Catalogue

    func add(_ record: PollRecord) {
        lock.withLock {
            records[record.poll.id] = record
            tellAll(.happened(.created(record.poll.id)))
        }
    }

    func record(_ id: PollID) -> PollRecord? { lock.withLock { records[id] } }

    /// Changes a poll as its host would, and tells everybody.
    func change(_ id: PollID, _ transition: PollTransition, _ edit: (inout Poll) -> Void) {
        lock.withLock {
            guard var record = records[id] else { return }
            edit(&record.poll)
            record.poll.tally.revision += 1
            record.poll.shownRevision = record.poll.tally.revision
            records[id] = record
            tellAll(.happened(.changed(record, transition)))
        }
    }

    func closePoll(_ id: PollID) { change(id, .closed) { $0.closedAt = 1_790_000_000_000 } }

    func delete(_ id: PollID) {
        lock.withLock {
            guard let record = records.removeValue(forKey: id) else { return }
            let revision = record.poll.tally.revision + 1
            tellAll(.happened(.deleted(id, revision: revision)))
        }
    }

    /// Reads look when they are asked, and answer when they are let go: the worst order there is.
    func holdReads() { lock.withLock { holdsReads = true } }

    func letReadsGo() {
        lock.withLock {
            holdsReads = false
            for read in heldReads { read() }
            heldReads = []
        }
    }

    /// The database is away for whoever asks for a ballot.
    func refuseBallotQuestions(_ refuses: Bool) {
        lock.withLock { refusesBallotQuestions = refuses }
    }

    func fillUp() { lock.withLock { isFull = true } }

    private func ask(_ request: CatalogueRequest, _ ticket: Ticket) -> Bool {
        lock.withLock {
            if isFull { return false }
            let answer: CatalogueAnswer
            switch request {
            case .read(let ids):
                readIDs += ids
                answer = .polls(ids.map { records[$0] })
            case .hasBallot where refusesBallotQuestions:
                answer = .refused(.storageUnavailable)
            case .hasBallot(let key):
                answer = .ballot(exists: ballots[key] != nil)
            default:
                answer = .refused(.storageUnavailable)
            }
            let give = { [self] in
                inboxes[Int(ticket.loop)]?.append(
                    .answered(CatalogueReply(ticket: ticket, answer: answer)))
            }
            if holdsReads, case .read = request {
                heldReads.append { give() }
            } else {
                give()
            }
            return true
        }
    }

    // MARK: Ledger

    func holdBallots() { lock.withLock { holdsBallots = true } }

    func letBallotsGo() {
        lock.withLock {
            holdsBallots = false
            let held = heldBallots
            heldBallots = []
            commit(held)
        }
    }

    var heldBallotCount: Int { lock.withLock { heldBallots.count } }

    /// A ballot that came through another gateway.
    func castElsewhere(_ choices: UInt64, in id: PollID) {
        lock.withLock {
            guard let tally = count(Choices(mask: choices), in: id) else { return }
            tellAll(.happened(.tallies([tally])))
        }
    }

    /// A ballot that was stored before anybody here looked; its tally has been read with the poll.
    func store(_ key: BallotKey) { lock.withLock { ballots[key] = Choices(mask: 1) } }

    private func enqueue(_ ballot: Ballot) -> Bool {
        lock.withLock {
            if isFull { return false }
            if holdsBallots { heldBallots.append(ballot) } else { commit([ballot]) }
            return true
        }
    }

    private func commit(_ batch: [Ballot]) {
        var tallies: [PollID: Tally] = [:]
        var settled: [(loop: Int, SettledBallot)] = []
        for ballot in batch {
            let outcome = settle(ballot)
            if case .counted = outcome {
                tallies[ballot.pollID] = records[ballot.pollID]?.poll.tally
            }
            guard let ticket = ballot.ticket else { continue }
            settled.append(
                (
                    Int(ticket.loop),
                    SettledBallot(
                        ticket: ticket, pollID: ballot.pollID, key: ballot.key, outcome: outcome)
                ))
        }
        if !tallies.isEmpty { tellAll(.happened(.tallies(Array(tallies.values)))) }
        for (loop, ballot) in settled { inboxes[loop]?.append(.settled([ballot])) }
    }

    private func settle(_ ballot: Ballot) -> BallotOutcome {
        guard let poll = records[ballot.pollID]?.poll else { return .rejected(.pollNotFound) }
        if poll.state == .closed { return .rejected(.pollClosed) }
        if let earlier = ballots[ballot.key] {
            return earlier == ballot.choices
                ? .repeated(revision: poll.tally.revision) : .alreadyVoted
        }
        ballots[ballot.key] = ballot.choices
        guard let tally = count(ballot.choices, in: ballot.pollID) else {
            return .rejected(.pollNotFound)
        }
        return .counted(revision: tally.revision)
    }

    private func count(_ choices: Choices, in id: PollID) -> Tally? {
        guard var record = records[id], record.poll.state == .open else { return nil }
        record.poll.tally.revision += 1
        record.poll.tally.ballots += 1
        choices.add(1, to: &record.poll.tally.counts)
        records[id] = record
        return record.poll.tally
    }
}

/// A poll with options 10 × id + position.
func makeRecord(
    _ id: Int64, options: Int = 2, results: ResultsVisibility = .live, revision: Int64 = 5,
    counts: [Int64]? = nil, isOpened: Bool = true
) -> PollRecord {
    let counts = counts ?? Array(repeating: 0, count: options)
    let pollID = PollID(id)!
    return PollRecord(
        poll: Poll(
            id: pollID, title: "Poll \(id)", description: "", creatorName: "",
            options: (0..<options).map {
                PollOption(id: 10 * id + Int64($0), text: "option \($0)")
            },
            kind: .single, maxChoices: 1, results: results, allowsChange: false,
            createdAt: 1_780_000_000_000, startsAt: nil, endTime: nil, closedAt: nil,
            joinCode: "CODE\(id)", edition: 1, isOpened: isOpened, shownRevision: min(revision, 5),
            tally: Tally(
                pollID: pollID, revision: revision, ballots: counts.reduce(0, +), counts: counts,
                at: 1_780_000_000_123)),
        hostKeyHash: HostKey.hash("psh_\(id)"))
}

/// One whose words are those of its creation, which every revision of it names.
func makeUnedited(_ id: Int64, revision: Int64 = 5) -> PollRecord {
    var record = makeRecord(id, revision: revision)
    record.poll.createdAt = record.poll.shownRevision
    return record
}

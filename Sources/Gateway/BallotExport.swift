import JSON
import Polls
import Reactor
import Threads

/// Reads of whole polls that are under way in one process. Who takes an export slowly is long about it, so
/// that no poll and no address has more than its share. Any thread.
final class ExportSlots: @unchecked Sendable {
    struct Slot: Equatable {
        let poll: PollID
        let address: ClientAddress
    }

    private let limit: Int
    private let limitPerPoll: Int
    private let limitPerAddress: Int
    private let monitor = Monitor()
    private var taken: [Slot] = []  // under `monitor`

    init(limit: Int, perPoll: Int, perAddress: Int) {
        self.limit = limit
        limitPerPoll = perPoll
        limitPerAddress = perAddress
    }

    /// - Returns: false where all are taken, or what the poll or the address may have.
    func take(_ slot: Slot) -> Bool {
        monitor.withLock {
            guard taken.count < limit,
                taken.count(where: { $0.poll == slot.poll }) < limitPerPoll,
                taken.count(where: { $0.address == slot.address }) < limitPerAddress
            else { return false }
            taken.append(slot)
            return true
        }
    }

    func putBack(_ slot: Slot) {
        monitor.withLock {
            if let index = taken.firstIndex(of: slot) { taken.remove(at: index) }
        }
    }
}

/// An export under way: all it holds is where it stands, so memory does not grow with the poll.
struct BallotExport {
    /// At most about 1 MiB with the longest names.
    static let rowsPerPage = 1000

    let slot: ExportSlots.Slot
    let optionIDs: [Int64]
    /// The last one that was sent.
    private(set) var lastKey: BallotKey?
    /// A page is being read; else the stream is waited for.
    var isReading = false

    init(_ poll: Poll, _ slot: ExportSlots.Slot) {
        self.slot = slot
        optionIDs = poll.options.map(\.id)
    }

    static var header: [UInt8] {
        var csv = CSVWriter()
        for name in ["voter", "option_ids", "cast_at"] { csv.value(name) }
        csv.endRow()
        return csv.bytes
    }

    /// Moves past a page and gives its rows.
    mutating func rows(_ page: [StoredBallot]) -> [UInt8] {
        var csv = CSVWriter()
        for ballot in page {
            csv.foreignValue(ballot.voter)
            csv.value(optionIDs.indices.filter(ballot.choices.contains).map { optionIDs[$0] })
            csv.value(Timestamp.string(unixMilliseconds: ballot.castAt))
            csv.endRow()
        }
        if let last = page.last { lastKey = last.key }
        return csv.bytes
    }
}

extension Gateway {
    /// Streams every ballot as CSV, the next page only when the last one has been taken.
    func exportBallots(_ request: borrowing Request, _ exchange: Exchange, _ id: PollID) {
        let slot = ExportSlots.Slot(poll: id, address: ClientAddress(client(of: request)))
        withHostedBoard(id, request, exchange) { [unowned self] board in
            guard shared.exports.take(slot) else {
                statistics.count(limit: .exports)
                return exchange.send(.overloaded)
            }
            var answer = Answer(.csv, BallotExport.header)
            answer.fields.add(
                "Content-Disposition", "attachment; filename=\"ballots-\(id.rawValue).csv\"")
            let head = Response(status: 200, fields: exchange.fields(answer), body: answer.body)
            let isStreaming = loop.stream(
                to: exchange.connection, sequence: exchange.sequence, head: head, framing: .chunked)
            guard isStreaming else {
                // Requests were pipelined around this one; alone on a connection it is served.
                shared.exports.putBack(slot)
                return exchange.send(.overloaded)
            }
            exports[exchange.connection] = BallotExport(board.poll, slot)
            readPage(for: exchange.connection)
        }
    }

    /// A stream that was full has room.
    func resumeStream(_ connection: ConnectionID) {
        if exports[connection]?.isReading == false { readPage(for: connection) }
    }

    /// A stream is gone, whoever's it was.
    func forgetStream(_ connection: ConnectionID) {
        finishExport(connection)
        releaseAddress(of: connection)
    }

    private func readPage(for connection: ConnectionID) {
        guard let export = exports[connection] else { return }
        exports[connection]?.isReading = true
        let page = CatalogueRequest.ballots(
            export.slot.poll, after: export.lastKey, limit: BallotExport.rowsPerPage)
        ask(page) { [unowned self] answer in
            // It may have gone away meanwhile.
            guard exports[connection] != nil else { return }
            exports[connection]?.isReading = false
            switch answer {
            case .ballots(let ballots): send(ballots, to: connection)
            default: cutOff(connection)
            }
        }
    }

    private func send(_ ballots: [StoredBallot], to connection: ConnectionID) {
        let rows = exports[connection]!.rows(ballots)
        let result = rows.withUnsafeBytes { loop.write($0, toStream: connection) }
        let isLastPage = ballots.count < BallotExport.rowsPerPage
        switch result {
        case .gone: break  // and reported closed
        case _ where isLastPage:
            finishExport(connection)
            loop.endStream(connection)
        case .sent: readPage(for: connection)
        case .full: break  // `resumeStream` goes on
        }
    }

    /// Without its last chunk nobody takes the body for whole (RFC 9112 §8).
    private func cutOff(_ connection: ConnectionID) {
        finishExport(connection)
        loop.close(connection, code: 1011)
    }

    private func finishExport(_ connection: ConnectionID) {
        if let export = exports.removeValue(forKey: connection) {
            shared.exports.putBack(export.slot)
        }
    }
}

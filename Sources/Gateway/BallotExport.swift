import JSON
import Polls
import Reactor
import Synchronization

/// Exports and audits that may run at once in one process: they read whole polls. Any thread.
final class ExportSlots: Sendable {
    static let limit = 2

    private let taken = Atomic<Int>(0)

    /// - Returns: false where all are taken.
    func take() -> Bool {
        if taken.wrappingAdd(1, ordering: .relaxed).newValue <= Self.limit { return true }
        putBack()
        return false
    }

    func putBack() { taken.wrappingSubtract(1, ordering: .relaxed) }
}

/// An export under way: all it holds is where it stands, so memory does not grow with the poll.
struct BallotExport {
    /// At most about 1 MiB with the longest names.
    static let rowsPerPage = 1000

    let pollID: PollID
    let optionIDs: [Int64]
    /// The last one that was sent.
    private(set) var lastKey: BallotKey?
    /// A page is being read; else the stream is waited for.
    var isReading = false

    init(_ poll: Poll) {
        pollID = poll.id
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
        withHostedBoard(id, request, exchange) { [unowned self] board in
            guard shared.exports.take() else {
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
                shared.exports.putBack()
                return exchange.send(.overloaded)
            }
            exports[exchange.connection] = BallotExport(board.poll)
            readPage(for: exchange.connection)
        }
    }

    /// A stream that was full has room.
    func resumeStream(_ connection: ConnectionID) {
        if exports[connection]?.isReading == false { readPage(for: connection) }
    }

    /// A stream is gone, whoever's it was.
    func forgetStream(_ connection: ConnectionID) {
        if exports.removeValue(forKey: connection) != nil { shared.exports.putBack() }
        releaseAddress(of: connection)
    }

    private func readPage(for connection: ConnectionID) {
        guard let export = exports[connection] else { return }
        exports[connection]?.isReading = true
        let page = CatalogueRequest.ballots(
            export.pollID, after: export.lastKey, limit: BallotExport.rowsPerPage)
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
        exports[connection] = nil
        shared.exports.putBack()
    }
}

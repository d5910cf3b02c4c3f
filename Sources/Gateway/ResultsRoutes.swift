import JSON
import Polls
import Reactor

/// A form that results are sent in.
enum ResultsFormat: String {
    case json, csv

    /// The parameter `format` wins over Accept; where neither prefers CSV it is JSON.
    init(_ query: Query, _ accept: Accept) throws(APIError) {
        if let name = try query.value("format") {
            guard let format = ResultsFormat(rawValue: String(decoding: name, as: UTF8.self)) else {
                throw .invalid(field: "format", message: "Give json or csv.")
            }
            self = format
            return
        }
        let json = accept.quality(of: "application", "json")
        let csv = accept.quality(of: "text", "csv")
        guard max(json, csv) > 0 else { throw .notAcceptable }
        self = csv > json ? .csv : .json
    }
}

extension Gateway {
    func readResults(_ request: borrowing Request, _ exchange: Exchange, _ id: PollID) {
        let format: ResultsFormat
        do {
            format = try ResultsFormat(Query(request.query), Accept(request.field("accept")))
        } catch {
            return exchange.send(error)
        }
        let known = request.knownTags
        showPoll(id, to: request, exchange) { poll, view in
            exchange.send(Answer(resultsOf: poll, view: view, format), unlessKnown: known)
        }
    }

    /// Whether the stored ballots are the stored tally, and nothing newer was shown to anybody.
    func auditPoll(_ request: borrowing Request, _ exchange: Exchange, _ id: PollID) {
        let slot = ExportSlots.Slot(poll: id, address: ClientAddress(client(of: request)))
        withHostedBoard(id, request, exchange) { [unowned self] board in
            guard shared.audits.take(slot) else {
                statistics.count(limit: .exports)
                return exchange.send(.overloaded)
            }
            let shownRevision = board.poll.tally.revision
            ask(.audit(id)) { [unowned self] answer in
                shared.audits.putBack(slot)
                switch answer {
                case .audit(let audit):
                    exchange.send(Answer(audit, shownRevision: shownRevision))
                case .refused(let refusal): exchange.send(.of(refusal))
                default: preconditionFailure("the catalogue answered another question")
                }
            }
        }
    }
}

extension Answer {
    init(resultsOf poll: Poll, view: PollView, _ format: ResultsFormat) {
        switch format {
        case .json:
            var json = JSONWriter()
            json.writeResults(poll, view: view)
            self.init(json: json)
            etag = ETag(of: poll, view)
        case .csv:
            self.init(.csv, CSVWriter.results(of: poll, view: view))
            etag = ETag(of: poll, view, variant: "-csv")
        }
        caching = .revalidatedByCaller
        vary = [.accept, .caller]
    }

    fileprivate init(_ audit: Audit, shownRevision: Int64) {
        var json = JSONWriter()
        json.beginObject()
        json.member("consistent", audit.isConsistent && shownRevision <= audit.tally.revision)
        json.member("poll_id", audit.tally.pollID.rawValue)
        json.member("revision", audit.tally.revision)
        json.member("shown_revision", shownRevision)
        json.member("total", audit.tally.ballots)
        json.member("counts", audit.tally.counts)
        json.member("stored_ballots", audit.ballots)
        json.member("stored_counts", audit.counts)
        json.member("ballots_removed_at", unixMilliseconds: audit.emptiedAt)
        json.endObject()
        self.init(json: json)
    }
}

extension CSVWriter {
    /// Hidden counts are empty.
    fileprivate static func results(of poll: Poll, view: PollView) -> [UInt8] {
        var csv = CSVWriter()
        for name in ["option_id", "text", "votes"] { csv.value(name) }
        csv.endRow()
        for (option, count) in zip(poll.options, poll.tally.counts) {
            csv.value([option.id])
            csv.foreignValue(option.text)
            csv.value(view == .everything ? [count] : [])
            csv.endRow()
        }
        return csv.bytes
    }
}

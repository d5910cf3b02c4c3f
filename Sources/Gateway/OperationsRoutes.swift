import Reactor

/// What operators and their machines ask, on a listener of its own.
extension Gateway {
    /// Alive is who answers.
    func answerLiveness(_ request: borrowing Request, _ exchange: Exchange) {
        exchange.send(.line("ok"))
    }

    func answerReadiness(_ request: borrowing Request, _ exchange: Exchange) {
        if isDraining {
            exchange.send(.draining)
        } else if doors.isReady() {
            exchange.send(.line("ok"))
        } else {
            exchange.send(.storageUnavailable)
        }
    }

    func answerMetrics(_ request: borrowing Request, _ exchange: Exchange) {
        exchange.send(Answer(.metrics, doors.metrics()))
    }

    /// Answered before the drain begins; the process ends by itself afterwards.
    func drain(_ request: borrowing Request, _ exchange: Exchange) {
        // Any page that the operator's browser has open could post here without being asked first.
        if request.field("origin") != nil { return exchange.send(.originNotAllowed) }
        let seconds: Int?
        do {
            seconds = try Self.drainSeconds(Query(request.query))
        } catch {
            return exchange.send(error)
        }
        exchange.send(Answer(status: 202, .plain, Array("draining\n".utf8)))
        doors.drain(seconds)
    }

    /// nil takes the configured duration; at most a day.
    static func drainSeconds(_ query: Query) throws(APIError) -> Int? {
        guard let seconds = try query.integer("seconds") else { return nil }
        guard (0...86_400).contains(seconds) else {
            throw .invalid(field: "seconds", message: "Give 0 to 86400 seconds.")
        }
        return Int(seconds)
    }
}

extension Answer {
    fileprivate static func line(_ text: String) -> Answer {
        Answer(.plain, Array((text + "\n").utf8))
    }
}

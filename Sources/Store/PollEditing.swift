import Polls

extension Poll {
    /// The poll as `change` leaves it at `now`: at a new revision, shown to everybody.
    ///
    /// Options other than the present ones come at a new edition, with counts of zero and ids of
    /// zero, which the store replaces. A limit that allowed all options goes on to allow all.
    /// - Throws: `.pollClosed` also past the end, committed or not; `.hasBallots`, `.endBeforeStart`.
    func applying(_ change: PollChange, now: Int64) throws(StoreError) -> Poll {
        guard closedAt == nil, !isPastEnd(now) else { throw .pollClosed }
        var poll = self
        if let title = change.title { poll.title = title }
        if let description = change.description { poll.description = description }
        if let results = change.results { poll.results = results }
        if let asksName = change.asksName { poll.asksName = asksName }
        if let endTime = change.endTime {
            if let endTime, let startsAt, endTime <= startsAt { throw .endBeforeStart }
            poll.endTime = endTime
        }
        if let texts = change.options, !hasOptions(texts) {
            guard tally.ballots == 0 else { throw .hasBallots }
            poll.options = texts.map { PollOption(id: 0, text: $0) }
            poll.tally.counts = Array(repeating: 0, count: texts.count)
            poll.edition += 1
            if kind == .multiple {
                poll.maxChoices =
                    maxChoices == options.count ? texts.count : min(maxChoices, texts.count)
            }
        }
        poll.tally.revision = Tally.nextRevision(after: tally.revision, now: now)
        poll.shownRevision = poll.tally.revision
        return poll
    }

    /// Whether its end has come, by a clock that decides; the close may still be to be made.
    func isPastEnd(_ now: Int64) -> Bool {
        guard let endTime else { return false }
        return now >= endTime
    }

    /// Scalar by scalar: a text spelled differently is another text.
    private func hasOptions(_ texts: [String]) -> Bool {
        options.count == texts.count
            && zip(options, texts).allSatisfy {
                $0.text.unicodeScalars.elementsEqual($1.unicodeScalars)
            }
    }
}

import JSON
import Polls

/// A message as the broker gets it.
struct EventMessage: Equatable {
    /// Of a direct exchange. Those who take votes must not get what is none: the original's service
    /// puts back whatever names no option of a poll, for ever.
    enum Key: String {
        case vote = "poll.vote_update"
        case change = "poll.change"
    }

    let key: Key
    /// The same whenever the message is sent again, so that who has seen it can tell.
    let id: String
    let body: [UInt8]

    /// What is told of an event, in this order: a message for each option that gained or lost a mark,
    /// or one for a change. So whoever adds up the deltas of an option has its count, and who knows of
    /// nothing but single choices misses nothing.
    static func messages(of event: RecordedEvent) -> [EventMessage] {
        switch event.content {
        case .ballots(let ballots): ballots.flatMap { votes($0, in: event) }
        case .change(let kind, let facts): [change(kind, facts, of: event)]
        }
    }

    private static func votes(_ ballot: RecordedBallot, in event: RecordedEvent) -> [EventMessage] {
        // A ballot's id is random: without its sign it is shorter, and as good.
        let ballotID = "\(event.pollID.rawValue)-\(UInt64(bitPattern: ballot.id))"
        var messages: [EventMessage] = []
        for (choices, delta) in [
            (ballot.replaced.without(ballot.choices), -1),
            (ballot.choices.without(ballot.replaced), 1),
        ] {
            for (position, option) in event.words.options.enumerated()
            where choices.contains(position) {
                var json = JSONWriter()
                json.beginObject()
                json.member("type", "vote_notification")
                json.member("voter_name", ballot.voter)
                json.member("poll_id", event.pollID.rawValue)
                json.member("poll_text", event.words.title)
                json.member("option_id", option.id)
                json.member("option_text", option.text)
                json.member("delta", delta)
                json.member("ballot_id", ballotID)
                json.member("cast_at", unixMilliseconds: ballot.castAt)
                json.member("results", event.words.results.rawValue)
                json.endObject()
                messages.append(
                    EventMessage(
                        key: .vote, id: "\(ballotID)\(delta < 0 ? "-" : "+")\(option.id)",
                        body: Array(json.bytes)))
            }
        }
        return messages
    }

    private static func change(
        _ kind: PollChangeKind, _ facts: PollFacts, of event: RecordedEvent
    ) -> EventMessage {
        var json = JSONWriter()
        json.beginObject()
        json.member("type", "poll_\(kind.rawValue)")
        json.member("poll_id", event.pollID.rawValue)
        json.member("poll_text", event.words.title)
        json.member("revision", facts.revision)
        json.member("state", kind == .deleted ? "deleted" : facts.state.rawValue)
        json.member("results", event.words.results.rawValue)
        json.member("starts_at", unixMilliseconds: facts.startsAt)
        json.member("end_time", unixMilliseconds: facts.endTime)
        json.member("closed_at", unixMilliseconds: facts.closedAt)
        json.member("total_votes", facts.ballots)
        json.name("options")
        json.beginArray()
        for (option, count) in zip(event.words.options, facts.counts) {
            json.beginObject()
            json.member("id", option.id)
            json.member("text", option.text)
            json.member("vote_count", count)
            json.endObject()
        }
        json.endArray()
        json.endObject()
        return EventMessage(
            key: .change, id: "\(event.pollID.rawValue)-\(kind.rawValue)-\(facts.revision)",
            body: Array(json.bytes))
    }
}

extension Choices {
    fileprivate func without(_ other: Choices) -> Choices { Choices(mask: mask & ~other.mask) }
}

import JSON
import Polls

/// Polls and tallies as PROTOCOL writes them.
extension JSONWriter {
    /// A whole Poll.
    mutating func write(_ poll: Poll, view: PollView) {
        beginObject()
        writeMembers(of: poll, view: view)
        endObject()
    }

    /// The members of a Poll, for an object that has more of them.
    mutating func writeMembers(of poll: Poll, view: PollView) {
        member("id", poll.id.rawValue)
        member("title", poll.title)
        member("description", poll.description)
        member("creator_name", poll.creatorName)
        member("kind", poll.kind.rawValue)
        member("max_choices", poll.maxChoices)
        member("results", poll.results.rawValue)
        member("change_vote", poll.allowsChange)
        // A member that most polls do not have, and who knows only PROTOCOL's never meets.
        if poll.asksName { member("ask_name", true) }
        member("state", poll.state.rawValue)
        member("is_active", poll.state == .open)
        member("created_at", unixMilliseconds: poll.createdAt)
        member("starts_at", unixMilliseconds: poll.startsAt)
        member("end_time", unixMilliseconds: poll.endTime)
        member("closed_at", unixMilliseconds: poll.closedAt)
        member("join_code", poll.joinCode)
        member("revision", poll.revision(in: view))
        member("total_votes", view == .everything ? poll.tally.ballots : nil)
        writeOptions(of: poll, view: view)
    }

    /// The answer of `/polls/{id}/results/`.
    mutating func writeResults(_ poll: Poll, view: PollView) {
        beginObject()
        member("poll_id", poll.id.rawValue)
        member("revision", poll.revision(in: view))
        member("state", poll.state.rawValue)
        member("total", view == .everything ? poll.tally.ballots : nil)
        name("counts")
        if view == .everything { writeCounts(poll.tally.counts) } else { null() }
        writeOptions(of: poll, view: view)
        endObject()
    }

    private mutating func writeOptions(of poll: Poll, view: PollView) {
        name("options")
        beginArray()
        for (position, option) in poll.options.enumerated() {
            beginObject()
            member("id", option.id)
            member("text", option.text)
            member("vote_count", view == .everything ? poll.tally.counts[position] : nil)
            endObject()
        }
        endArray()
    }

    private mutating func writeCounts(_ counts: [Int64]) {
        beginArray()
        for count in counts { value(count) }
        endArray()
    }

    // MARK: Live messages

    mutating func writeSnapshot(of poll: Poll, view: PollView, reference: String? = nil) {
        beginMessage("snapshot", reference)
        name("poll")
        write(poll, view: view)
        endObject()
    }

    mutating func writeTally(_ tally: Tally) {
        beginMessage("tally")
        member("poll_id", tally.pollID.rawValue)
        member("revision", tally.revision)
        member("total", tally.ballots)
        name("counts")
        writeCounts(tally.counts)
        member("at", tally.at)
        endObject()
    }

    mutating func writeState(_ state: String, of poll: PollID, revision: Int64) {
        beginMessage("state")
        member("poll_id", poll.rawValue)
        member("revision", revision)
        member("state", state)
        endObject()
    }

    mutating func writeViewers(_ count: Int, of poll: PollID) {
        beginMessage("viewers")
        member("poll_id", poll.rawValue)
        member("viewers", count)
        endObject()
    }

    /// - Parameter revision: as the voter may see it.
    mutating func writeAck(
        _ outcome: BallotOutcome, poll: Poll, choices: Choices, revision: Int64, reference: String?
    ) {
        beginMessage("ack", reference)
        if case .changed = outcome {
            member("status", "changed")
        } else {
            member("status", "counted")
        }
        if case .repeated = outcome { member("repeated", true) }
        member("poll_id", poll.id.rawValue)
        name("option_ids")
        beginArray()
        for (position, option) in poll.options.enumerated() where choices.contains(position) {
            value(option.id)
        }
        endArray()
        member("revision", revision)
        endObject()
    }

    /// - Parameter poll: the poll that the error is about, where the message named several.
    mutating func writeError(_ error: APIError, reference: String?, poll: Int64? = nil) {
        beginMessage("error", reference)
        member("code", error.code)
        member("message", error.message)
        if let field = error.field { member("field", field) }
        if let poll { member("poll_id", poll) }
        endObject()
    }

    mutating func writePong(reference: String?) {
        beginMessage("pong", reference)
        endObject()
    }

    mutating func writeDraining(reconnectInMilliseconds: UInt32) {
        beginMessage("draining")
        member("reconnect_in_ms", Int64(reconnectInMilliseconds))
        endObject()
    }

    /// - Parameter reference: JSON, as it was sent.
    private mutating func beginMessage(_ type: String, _ reference: String? = nil) {
        restart()
        beginObject()
        member("type", type)
        if var reference {
            name("ref")
            reference.withUTF8 { raw(UnsafeRawBufferPointer($0)) }
        }
    }
}

import Polls

/// What is stored of one voter in one poll, and the rule for the next ballot.
struct VoterRecord: Equatable {
    var ballotID: Int64
    var choices: Choices

    enum Verdict: Equatable {
        /// This very ballot is the stored one: an earlier attempt to commit it had succeeded.
        case counted
        case repeated
        case changed
        case alreadyVoted
    }

    /// Takes `ballot`, the voter's next, if the rules say so.
    mutating func take(_ ballot: Ballot, allowsChange: Bool) -> Verdict {
        if ballot.id == ballotID { return .counted }
        if ballot.choices == choices { return .repeated }
        guard allowsChange else { return .alreadyVoted }
        ballotID = ballot.id
        choices = ballot.choices
        return .changed
    }
}

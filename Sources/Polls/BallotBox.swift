/// Admits or rejects what a voter sends, by what this gateway knows of the poll. The commit checks
/// again what can have changed by then.
package struct BallotBox {
    private let poll: Poll

    package init(_ poll: Poll) { self.poll = poll }

    /// - Parameter optionIDs: as sent, in any order.
    /// - Returns: the choices to commit at the poll's edition, or why not. A rejection is a value.
    package func admit(optionIDs: some Collection<Int64>) -> Result<Choices, Rejection> {
        switch poll.state {
        case .closed: return .failure(.pollClosed)
        case .scheduled: return .failure(.pollNotOpen)
        case .open: return choices(of: optionIDs)
        }
    }

    /// The same, whatever state the poll is in.
    package func choices(of optionIDs: some Collection<Int64>) -> Result<Choices, Rejection> {
        if optionIDs.isEmpty {
            return .failure(.invalid(field: "option_ids", message: "Choose at least one option."))
        }
        var mask: UInt64 = 0
        for optionID in optionIDs {
            guard let position = poll.options.firstIndex(where: { $0.id == optionID }) else {
                return .failure(.optionNotFound)
            }
            let bit: UInt64 = 1 << UInt64(position)
            if mask & bit != 0 {
                return .failure(
                    .invalid(field: "option_ids", message: "Name each option only once."))
            }
            mask |= bit
        }
        let choices = Choices(mask: mask)
        if choices.count > poll.maxChoices {
            let noun = poll.maxChoices == 1 ? "option" : "options"
            return .failure(
                .invalid(
                    field: "option_ids", message: "Choose at most \(poll.maxChoices) \(noun)."))
        }
        return .success(choices)
    }
}

/// Why a ballot is not taken; sending it again changes nothing.
package enum Rejection: Error, Sendable, Equatable {
    case pollNotFound
    case optionNotFound
    case pollNotOpen
    case pollClosed
    /// The options changed after it was admitted.
    case optionsChanged
    case invalid(field: String, message: String)
}

import Identity
import Polls
import Reactor

/// What a voter sends, read and authenticated, not yet admitted.
struct Vote {
    var pollID: PollID
    /// As sent, in any order.
    var optionIDs: [Int64]
    var voter: VoterIdentity
    /// What the voter calls itself, which may be anything.
    var name: String?
    /// When its last byte was read, Unix milliseconds.
    var receivedAt: Int64

    /// What the export shows: whom a token names, since that is proved, and else the name.
    ///
    /// - Parameter checksSubjects: who has a cookie is called nothing then, since it could call itself
    ///   what a token says of somebody else.
    func label(checksSubjects: Bool) -> String {
        switch voter {
        case .subject(let subject): subject
        case .token where checksSubjects: ""
        case .token, .name: name ?? ""
        }
    }
}

/// A ballot that was not queued, and why.
struct UnqueuedVote: Error {
    let outcome: BallotOutcome
}

/// A vote of a WebSocket on its way through the ledger.
struct SocketVote {
    let connection: ConnectionID
    /// JSON, as it was sent.
    let reference: String?
    let board: Board
    let choices: Choices
}

extension Gateway {
    /// Admits and casts. `then` runs on this loop after the commit, at once where the ballot is not
    /// taken, with the outcome and the board where there is one.
    func vote(_ vote: Vote, then: @escaping (BallotOutcome, Board?) -> Void) {
        admit(vote) { [unowned self] admission in
            switch admission {
            case .settled(let outcome, let board):
                statistics.count(outcome: outcome)
                then(outcome, board)
            case .admitted(let ballot, let board):
                let waiter = WaitingTable.Waiter.ballot(
                    isAnnounced: board.poll.results == .afterVote,
                    then: { [unowned self, key = ballot.key, choices = ballot.choices] outcome in
                        guard outcome == .rejected(.pollClosed) else {
                            statistics.count(outcome: outcome)
                            return then(outcome, board)
                        }
                        lookForLate(key, choices, in: board) { [statistics] in
                            statistics.count(outcome: $0)
                            then($0, board)
                        }
                    })
                if enqueue(ballot, of: vote, waiter) { return }
                statistics.count(.overloaded)
                then(.overloaded, board)
            }
        }
    }

    /// Admits and queues; `then` hears whether that went well, and nobody hears of the commit.
    func voteWithoutWaiting(
        _ vote: Vote, then: @escaping (Result<Void, UnqueuedVote>) -> Void
    ) {
        admit(vote) { [unowned self] admission in
            switch admission {
            case .settled(let outcome, _):
                statistics.count(outcome: outcome)
                then(outcome.isStored ? .success(()) : .failure(UnqueuedVote(outcome: outcome)))
            case .admitted(let ballot, let board):
                // What its voter sees may depend on it: then its outcome comes back all the same.
                let isQueued =
                    board.poll.results == .afterVote
                    ? enqueue(ballot, of: vote, .announcement)
                    : settings.feed == .off
                        ? doors.enqueue(ballot) : enqueue(ballot, of: vote, .nobody)
                statistics.count(isQueued ? .queued : .overloaded)
                then(isQueued ? .success(()) : .failure(UnqueuedVote(outcome: .overloaded)))
            }
        }
    }

    /// Casts for a WebSocket. The answer goes to the socket by itself.
    func vote(_ vote: Vote, from connection: ConnectionID, reference: String?) {
        sockets[connection].unansweredCount += 1
        admit(vote) { [unowned self] admission in
            switch admission {
            case .settled(let outcome, let board):
                guard outcome.isStored, let board else {
                    statistics.count(outcome: outcome)
                    return finishVote(of: connection, with: APIError.of(outcome), reference)
                }
                answer(
                    SocketVote(
                        connection: connection, reference: reference, board: board,
                        choices: choices(of: vote, in: board)!),
                    with: outcome)
            case .admitted(let ballot, let board):
                let pending = SocketVote(
                    connection: connection, reference: reference, board: board,
                    choices: ballot.choices)
                if !enqueue(ballot, of: vote, .socketVote(pending)) {
                    statistics.count(.overloaded)
                    finishVote(of: connection, with: .overloaded, reference)
                }
            }
        }
    }

    /// The ledger's answer to a vote of a WebSocket.
    func settle(_ vote: SocketVote, _ ballot: SettledBallot) {
        guard ballot.outcome == .rejected(.pollClosed) else {
            return answer(vote, with: ballot.outcome)
        }
        lookForLate(ballot.key, vote.choices, in: vote.board) { [unowned self] in
            answer(vote, with: $0)
        }
    }

    private func answer(_ vote: SocketVote, with outcome: BallotOutcome) {
        statistics.count(outcome: outcome)
        let poll = vote.board.poll
        let revision: Int64
        switch outcome {
        case .counted(let stored), .repeated(let stored), .changed(let stored): revision = stored
        default: return finishVote(of: vote.connection, with: APIError.of(outcome), vote.reference)
        }
        guard endUnanswered(of: vote.connection) else { return }
        sendText(to: vote.connection) {
            $0.writeAck(
                outcome, poll: poll, choices: vote.choices,
                revision: poll.revisionShownToVoter(revision), reference: vote.reference)
        }
        if poll.results == .afterVote { showBallot(to: vote.connection, of: poll.id) }
    }

    private func finishVote(
        of connection: ConnectionID, with error: APIError, _ reference: String?
    ) {
        if endUnanswered(of: connection) { sendError(error, to: connection, reference) }
    }

    /// - Returns: false where the socket is gone, and its slot perhaps another's.
    private func endUnanswered(of connection: ConnectionID) -> Bool {
        guard loop.kind(of: connection) == .webSocket else { return false }
        sockets[connection].unansweredCount -= 1
        return true
    }

    /// A ballot that comes after the close may be one that was stored before it, sent again because its
    /// answer was lost: to call it refused would be wrong, so the catalogue is asked. Where that cannot
    /// tell, neither can we.
    private func lookForLate(
        _ key: BallotKey, _ choices: Choices, in board: Board,
        then: @escaping (BallotOutcome) -> Void
    ) {
        ask(.choices([key])) { [unowned self] answer in
            switch answer {
            case .choices(let stored) where stored.first == choices:
                readLate(board.id, then: then)
            case .choices: then(.rejected(.pollClosed))
            case .refused(let refusal): then(refusal.ballotOutcome)
            default: preconditionFailure("the catalogue answered another question")
            }
        }
    }

    /// The tally that such a ballot is in may not have come here yet.
    private func readLate(_ id: PollID, then: @escaping (BallotOutcome) -> Void) {
        ask(.read([id])) { [unowned self] answer in
            switch answer {
            case .polls(let records):
                guard let record = records[0] else { return then(.rejected(.pollNotFound)) }
                adopt(record)
                then(.repeated(revision: record.poll.tally.revision))
            case .refused(let refusal): then(refusal.ballotOutcome)
            default: preconditionFailure("the catalogue answered another question")
            }
        }
    }

    // MARK: Admission

    private enum Admission {
        case admitted(Ballot, Board)
        /// Refused, or stored before.
        case settled(BallotOutcome, Board?)
    }

    private func admit(_ vote: Vote, then: @escaping (Admission) -> Void) {
        // The usual way costs no closure of its own.
        if let board = boards.board(vote.pollID) {
            boards.touch(board)
            return admit(vote, to: board, then: then)
        }
        withBoard(vote.pollID) { [unowned self] lookup in
            switch lookup {
            case .board(let board): admit(vote, to: board, then: then)
            case .notFound: then(.settled(.rejected(.pollNotFound), nil))
            case .refused(let refusal): then(.settled(refusal.ballotOutcome, nil))
            }
        }
    }

    private func admit(_ vote: Vote, to board: Board, then: @escaping (Admission) -> Void) {
        let poll = board.poll
        switch BallotBox(poll).admit(optionIDs: vote.optionIDs) {
        case .failure(let rejection):
            guard rejection == .pollClosed, let choices = choices(of: vote, in: board) else {
                return then(.settled(.rejected(rejection), board))
            }
            lookForLate(ballotKey(vote.voter, poll.id), choices, in: board) {
                then(.settled($0, board))
            }
        case .success(let choices):
            let key = ballotKey(vote.voter, poll.id)
            then(
                .admitted(
                    Ballot(
                        key: key, pollID: poll.id, id: ballotIDs.next(), choices: choices,
                        edition: poll.edition, allowsChange: poll.allowsChange,
                        voter: vote.label(checksSubjects: shared.jwt != nil),
                        castAt: vote.receivedAt, ticket: nil),
                    board))
        }
    }

    /// nil where it could not be one of the poll's ballots in any state.
    private func choices(of vote: Vote, in board: Board) -> Choices? {
        try? BallotBox(board.poll).choices(of: vote.optionIDs).get()
    }
}

extension CatalogueRefusal {
    /// What it means for a ballot whose poll could not be read.
    fileprivate var ballotOutcome: BallotOutcome {
        switch self {
        case .storageUnavailable, .commitUnknown: .storageUnavailable
        case .pollNotFound: .rejected(.pollNotFound)
        case .pollClosed: .rejected(.pollClosed)
        case .overloaded, .hasBallots, .invalid: .overloaded
        }
    }
}

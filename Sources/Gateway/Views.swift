import Identity
import Polls
import Reactor

/// Who may see the counts of a poll whose results are not live, and from when on.
extension Gateway {
    /// What `caller` may see of the poll now; where its ballot decides, the catalogue is asked.
    /// Who cannot be told apart for lack of room there sees no counts.
    func view(of board: Board, for caller: Viewer, then: @escaping (PollView) -> Void) {
        let poll = board.poll
        if poll.showsCountsToEverybody || isHost(caller.presentedHostKeyHash, of: board) {
            return then(.everything)
        }
        guard poll.results == .afterVote, let identity = caller.identity else {
            return then(.hidden)
        }
        let key = ballotKey(identity, poll.id)
        if knownBallots.contains(key) { return then(.everything) }
        lookFor(key) { then($0 ?? false ? .everything : .hidden) }
    }

    func isHost(_ hostKeyHash: [UInt8]?, of board: Board) -> Bool {
        guard let hostKeyHash else { return false }
        return HostKey.isSame(hostKeyHash, board.record.hostKeyHash)
    }

    func ballotKey(_ identity: VoterIdentity, _ poll: PollID) -> BallotKey {
        BallotKey(poll: poll, voter: secrets.hasher.voterKey(for: identity))
    }

    /// Puts a new subscriber where it belongs by what it has proved, without asking anybody first.
    func attach(
        _ connection: ConnectionID, to board: Board, hostKeyHash: [UInt8]? = nil, since: Int64?,
        reference: String? = nil
    ) {
        let viewer = sockets.viewer(connection)
        let audience = audience(of: viewer, hostKeyHash: hostKeyHash, in: board)
        attach(connection, to: board, as: audience, since: since, reference: reference)
        if audience == .everybody, board.poll.results == .afterVote, board.poll.state != .closed,
            let identity = viewer.identity
        {
            awaitBallot(connection, identity, in: board)
        }
    }

    private func audience(
        of viewer: Viewer, hostKeyHash: [UInt8]?, in board: Board
    ) -> Audience {
        if isHost(hostKeyHash, of: board) || isHost(viewer.presentedHostKeyHash, of: board) {
            return .hosts
        }
        if board.poll.results == .afterVote, let identity = viewer.identity,
            knownBallots.contains(ballotKey(identity, board.id))
        {
            return .voters
        }
        return .everybody
    }

    /// Moves a subscriber to the voters once its identity has a ballot; asks whether it has one
    /// already. It is subscribed before the question, so no ballot falls between them.
    func awaitBallot(_ connection: ConnectionID, _ identity: VoterIdentity, in board: Board) {
        board.watchers.awaitingBallot.insert(
            connection, secrets.hasher.voterKey(for: identity))
        askForBallots(in: board)
    }

    /// Asks the catalogue for the ballots that are due, as many as may be under way at once.
    func askForBallots(in board: Board) {
        guard board.poll.results == .afterVote, board.poll.state != .closed else { return }
        let id = board.id
        while let voter = board.watchers.awaitingBallot.takeQuestion() {
            let key = BallotKey(poll: id, voter: voter)
            if knownBallots.contains(key) {
                board.watchers.awaitingBallot.settle(voter, exists: true)
                showBallots(of: voter, in: id)
                continue
            }
            lookFor(key) { [unowned self] exists in
                guard let board = boards.board(id) else { return }
                board.watchers.awaitingBallot.settle(voter, exists: exists)
                if exists ?? false { showBallots(of: voter, in: id) }
                // A refusal is asked again when the board is visited.
                if exists != nil { askForBallots(in: board) }
            }
        }
    }

    /// Counts became hidden: who watches and has voted is to see them all the same.
    func awaitBallots(in board: Board) {
        for connection in board.watchers.subscribers(.everybody) {
            if let identity = sockets.viewer(connection).identity {
                awaitBallot(connection, identity, in: board)
            }
        }
    }

    /// A ballot that this loop learned of is stored: its voter's sockets, here and on the other
    /// loops and gateways, see the counts.
    func announce(_ ballot: SettledBallot) {
        guard ballot.outcome.isStored else { return }
        learn(ballot: ballot.key, of: ballot.pollID)
        doors.tellOthers(.voted(ballot.pollID, ballot.key), loopIndex)
        doors.tellVoted(ballot.pollID, ballot.key.voter)
    }

    func learn(ballot key: BallotKey, of poll: PollID) {
        knownBallots.insert(key)
        showBallots(of: key.voter, in: poll)
    }

    /// The socket that cast a stored ballot has voted, whatever identity it came with.
    func showBallot(to connection: ConnectionID, of poll: PollID) {
        guard let board = boards.board(poll) else { return }
        let encoding = sockets[connection].encoding
        guard board.watchers.audience(of: connection, encoding) == .everybody else { return }
        attach(connection, to: board, as: .voters)
    }

    private func showBallots(of voter: VoterKey, in poll: PollID) {
        guard let board = boards.board(poll), !board.watchers.isEmpty else { return }
        for connection in board.watchers.awaitingBallot.remove(voter) {
            showBallot(to: connection, of: poll)
        }
    }

    /// Asks the catalogue. `then` gets nil where it cannot tell.
    private func lookFor(_ key: BallotKey, then: @escaping (Bool?) -> Void) {
        ask(.hasBallot(key)) { [unowned self] answer in
            guard case .ballot(let exists) = answer else { return then(nil) }
            if exists { knownBallots.insert(key) }
            then(exists)
        }
    }
}

extension BallotKey {
    /// The part that names the voter.
    var voter: VoterKey { VoterKey(high: UInt16(truncatingIfNeeded: high), low: low) }
}

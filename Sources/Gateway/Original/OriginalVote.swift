import Identity
import JSON
import Polls
import Reactor

/// `POST /api/vote/`: answered after the commit, though it says that the vote is being processed.
extension Gateway {
    func castOriginalVote(_ request: borrowing Request, _ exchange: Exchange) {
        let vote: Vote
        do {
            let body = try withOriginalJSON(of: request) {
                (root) throws(OriginalErrors) in try OriginalVoteBody(root)
            }
            guard let pollID = PollID(body.pollID) else { throw OriginalFailure.pollNotFound }
            let voter = try originalVoter(named: body.voterName, of: request)
            try take(
                settings.rateVotes, for: voteSubject(voter, ClientAddress(client(of: request))))
            vote = Vote(
                pollID: pollID, optionIDs: [body.optionID], voter: voter, label: body.voterName,
                receivedAt: request.receivedUnixMilliseconds)
        } catch {
            statistics.count(GatewayStatistics.VoteAnswer(original: error))
            return exchange.send(original: error)
        }
        self.vote(vote) { outcome, _ in
            guard outcome.isStored else {
                return exchange.send(original: OriginalFailure.of(outcome))
            }
            var json = JSONWriter()
            json.beginObject()
            json.member("message", "Vote accepted and being processed.")
            json.endObject()
            exchange.send(json: json, status: 202)
        }
    }

    /// The name is who votes where names are believed, as in the original; else a label.
    private func originalVoter(
        named name: String, of request: borrowing Request
    ) throws(APIError) -> VoterIdentity {
        if settings.acceptsVoterNames { return .name(name) }
        guard let identity = try caller(of: request).identity else { throw .unauthorized }
        return identity
    }
}

extension GatewayStatistics.VoteAnswer {
    /// Of what reading a vote of the original API throws.
    fileprivate init(original error: any Error) {
        self =
            switch error {
            case let error as APIError: Self(error)
            case let failure as OriginalFailure where failure == .pollNotFound: .pollNotFound
            default: .invalid
            }
    }
}

private struct OriginalVoteBody {
    let pollID: Int64
    let optionID: Int64
    let voterName: String

    init(_ root: JSONValue) throws(OriginalErrors) {
        var fields = try OriginalFields(root)
        pollID = fields.integer("poll_id")
        optionID = fields.integer("option_id")
        voterName = fields.text("voter_name", upTo: 100)
        try fields.check()
    }
}

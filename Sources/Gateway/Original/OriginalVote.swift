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
            try take(settings.rateVotes, for: .votes, by: voter, client(of: request))
            vote = Vote(
                pollID: pollID, optionIDs: [body.optionID], voter: voter, name: body.voterName,
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

    private func originalVoter(
        named name: String, of request: borrowing Request
    ) throws(APIError) -> VoterIdentity {
        guard let voter = try originalVoter(of: request, named: name) else { throw .unauthorized }
        return voter
    }

    /// Whom a bearer token names; else the name, where names are believed, as in the original; else
    /// whom the cookie names. The original's frontend knows no cookies, and takes each name that is
    /// typed into one browser for another voter.
    func originalVoter(of request: borrowing Request, named name: String?) throws(APIError)
        -> VoterIdentity?
    {
        let caller = try caller(of: request)
        if let identity = caller.bearer?.identity { return identity }
        return settings.acceptsVoterNames ? name.map { .name($0) } : caller.identity
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

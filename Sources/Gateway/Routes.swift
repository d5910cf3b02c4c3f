import Page

/// Every path of the gateway.
enum Routes {
    static let everyMethod = "GET, HEAD, POST, PATCH, DELETE, OPTIONS"

    /// What every `--listen` address serves.
    static let publicAPI: [Route] =
        api + page + PageFile.files.map { Route($0.path, [.get: .file($0)]) }

    /// What openapi.json describes; the busiest come first.
    static let api: [Route] = [
        Route("/votes/", of: .votes, [.post: .plain(Gateway.castVote)]),
        Route(
            "/polls/{id}/",
            [
                .get: .poll(Gateway.readPoll),
                .patch: .poll(Gateway.changePoll),
                .delete: .poll(Gateway.deletePoll),
            ]),
        Route("/polls/{id}/results/", [.get: .poll(Gateway.readResults)]),
        Route("/polls/{id}/events/", of: .live, [.get: .poll(Gateway.openEvents)]),
        Route("/ws/polls/{id}/", of: .live, [.get: .poll(Gateway.openLivePoll)]),
        Route("/ws/", of: .live, [.get: .plain(Gateway.openLive)]),
        Route(
            "/polls/", [.get: .plain(Gateway.listPolls), .post: .plain(Gateway.createPoll)]),
        Route("/polls/{id}/open/", [.post: .poll(Gateway.openPoll)]),
        Route("/polls/{id}/close/", [.post: .poll(Gateway.closePoll)]),
        Route("/polls/{id}/ballots/", [.get: .poll(Gateway.exportBallots)]),
        Route("/polls/{id}/audit/", [.get: .poll(Gateway.auditPoll)]),
        Route("/join/{code}", [.get: .code(Gateway.joinPoll)]),
        // The original platform's, which took them without their last slash, too.
        Route("/api/polls/get-list/", [.get: .plain(Gateway.listOriginalPolls)]),
        Route("/api/polls/get-list", [.get: .plain(Gateway.listOriginalPolls)]),
        Route("/api/polls/create/", [.post: .plain(Gateway.createOriginalPoll)]),
        Route("/api/polls/create", [.post: .plain(Gateway.createOriginalPoll)]),
        Route("/api/polls/{id}/", [.get: .poll(Gateway.readOriginalPoll)]),
        Route("/api/polls/{id}", [.get: .poll(Gateway.readOriginalPoll)]),
        Route("/api/vote/", of: .votes, [.post: .plain(Gateway.castOriginalVote)]),
        Route("/api/vote", of: .votes, [.post: .plain(Gateway.castOriginalVote)]),
        Route("/ws/global/", of: .live, [.get: .plain(Gateway.openFeed)]),
        Route("/ws/global", of: .live, [.get: .plain(Gateway.openFeed)]),
        Route("/ws/echo/", of: .live, [.get: .plain(Gateway.openEcho)]),
        Route("/openapi.json", [.get: .plain(Gateway.sendOpenAPI)]),
        Route("/asyncapi.json", [.get: .plain(Gateway.sendAsyncAPI)]),
    ]

    /// The pages of the web application.
    static let page: [Route] = [
        Route("/", [.get: .plain(Gateway.sendPage)]),
        Route("/p/{id}", [.get: .poll(Gateway.sendPollPage)]),
        Route("/p/{id}/present", [.get: .poll(Gateway.sendPollPage)]),
        Route("/host", [.get: .plain(Gateway.sendPage)]),
        Route("/host/{id}", [.get: .poll(Gateway.sendPollPage)]),
        Route("/embed/{id}", [.get: .poll(Gateway.sendEmbeddedPoll)]),
    ]

    /// What `--ops-listen` serves, and nothing else.
    static let operations: [Route] = [
        Route("/livez", [.get: .plain(Gateway.answerLiveness)]),
        Route("/readyz", [.get: .plain(Gateway.answerReadiness)]),
        Route("/metrics", [.get: .plain(Gateway.answerMetrics)]),
        Route("/drain", [.post: .plain(Gateway.drain)]),
        Route("/", [.get: .plain(Gateway.sendStatusPage)]),
        Route("/status.js", [.get: .plain(Gateway.sendStatusScript)]),
        Route("/status.css", [.get: .plain(Gateway.sendStatusStyle)]),
    ]
}

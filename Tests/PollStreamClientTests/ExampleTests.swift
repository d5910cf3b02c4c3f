import PollStreamClient
import Testing

/// What docs/clients.md shows, to the letter; a test of the documents compares them.
struct ExampleTests {
    // docs/clients.md
    func watch(_ poll: Int64, at url: String) async throws -> Int64 {
        let client = try PollStreamClient(url: url)
        var total: Int64 = 0
        for try await event in client.follow([poll]) {
            switch event {
            case .snapshot(let poll): total = poll.totalVotes ?? 0
            case .tally(let tally): total = tally.total
            case .state(_, _, .closed): return total  // the final tally came before it
            case .disconnected(let reason): print("coming back by itself: \(reason)")
            default: break
            }
        }
        return total
    }
    // end

    @Test func `the example of the documents follows a poll to its end`() async throws {
        try await withFolder { folder in
            let gateway = try GatewayProcess(in: folder)
            defer { gateway.stop() }
            let client = try PollStreamClient(url: gateway.url)
            let (poll, hostKey) = try await client.create(
                PollDraft(title: "Tea or coffee?", options: ["Tea", "Coffee"]))
            let url = gateway.url
            async let total = watch(poll.id, at: url)
            for voter in ["ada", "bob", "eve"] {
                _ = try await client.vote(poll.id, options: [poll.options[0].id], voter: voter)
            }
            // The example ends at the close, so it has to be watching by then.
            var events = client.follow([poll.id]).makeAsyncIterator()
            var watchers: Int64 = 0
            while watchers < 2 {
                if case .viewers(_, let count)? = try await events.next() { watchers = count }
            }
            _ = try await client.close(poll.id, hostKey: hostKey)
            #expect(try await total == 3)
        }
    }
}

import PollStreamClient
import Testing

/// Against the gateway's own program.
@Suite(.serialized) struct EndToEndTests {
    @Test func `a vote is seen by who follows`() async throws {
        try await withFolder { folder in
            let gateway = try GatewayProcess(in: folder)
            defer { gateway.stop() }
            let client = try PollStreamClient(url: gateway.url)
            let (poll, hostKey) = try await client.create(
                PollDraft(title: "Tea or coffee?", options: ["Tea", "Coffee"]))
            var events = client.follow([poll.id]).makeAsyncIterator()
            #expect(try await events.next() == .connected)
            #expect(try await events.nextSnapshot().totalVotes == 0)

            let coffee = poll.options[1].id
            let receipt = try await client.vote(poll.id, options: [coffee], voter: "ada")
            #expect(receipt.status == .counted)
            #expect(!receipt.isRepeated)
            let tally = try await events.nextTally()
            #expect(tally.counts == [0, 1])
            #expect(tally.revision == receipt.revision)

            let again = try await client.vote(poll.id, options: [coffee], voter: "ada")
            #expect(again.isRepeated)

            // It is open already, which makes no difference.
            #expect(try await client.open(poll.id, hostKey: hostKey).state == .open)
            let closed = try await client.close(poll.id, hostKey: hostKey)
            #expect(closed.state == .closed)
            var states: [Poll.State] = []
            while states.isEmpty {
                if case .state(_, _, let state)? = try await events.next() { states.append(state) }
            }
            #expect(states == [.closed])
        }
    }

    @Test func `a refusal says what is wrong`() async throws {
        try await withFolder { folder in
            let gateway = try GatewayProcess(in: folder)
            defer { gateway.stop() }
            let client = try PollStreamClient(url: gateway.url)
            let (poll, _) = try await client.create(PollDraft(title: "One?", options: ["a", "b"]))
            _ = try await client.vote(poll.id, options: [poll.options[0].id], voter: "ada")
            await #expect {
                try await client.vote(poll.id, options: [poll.options[1].id], voter: "ada")
            } throws: {
                if case .refused(409, "already_voted", _, nil) = $0 as? ClientError {
                    true
                } else {
                    false
                }
            }
            await #expect {
                try await client.poll(999)
            } throws: {
                if case .refused(404, "poll_not_found", _, nil) = $0 as? ClientError {
                    true
                } else {
                    false
                }
            }
            let events = client.follow([999])
            await #expect(throws: ClientError.self) {
                for try await _ in events {}
            }
        }
    }

    @Test func `who follows comes back after a crash, and never sees less`() async throws {
        try await withFolder { folder in
            let first = try GatewayProcess(in: folder)
            let client = try PollStreamClient(url: first.url)
            let (poll, _) = try await client.create(PollDraft(title: "Up?", options: ["a", "b"]))
            var events = client.follow([poll.id]).makeAsyncIterator()
            _ = try await events.nextSnapshot()
            for voter in 0..<20 {
                _ = try await client.vote(
                    poll.id, options: [poll.options[0].id], voter: "voter \(voter)")
            }
            first.killAtOnce()
            let second = try GatewayProcess(in: folder, listen: first.address)
            defer { second.stop() }
            _ = try await client.vote(poll.id, options: [poll.options[1].id], voter: "late")
            var total: Int64 = 0, revision: Int64 = 0
            while total < 21 {
                switch try #require(try await events.next()) {
                case .tally(let tally):
                    #expect(tally.revision > revision)
                    #expect(tally.total >= total)
                    (total, revision) = (tally.total, tally.revision)
                case .snapshot(let poll):
                    #expect(poll.revision >= revision)
                    (total, revision) = (poll.totalVotes ?? 0, poll.revision)
                default: break
                }
            }
            #expect(total == 21)
        }
    }

    @Test func `who is told to leave comes back when it was told`() async throws {
        try await withFolder { folder in
            let first = try GatewayProcess(in: folder)
            let client = try PollStreamClient(url: first.url)
            let (poll, _) = try await client.create(PollDraft(title: "Back?", options: ["a", "b"]))
            var events = client.follow([poll.id]).makeAsyncIterator()
            _ = try await events.nextSnapshot()
            #expect(first.stop() == 0)
            let second = try GatewayProcess(in: folder, listen: first.address)
            defer { second.stop() }
            #expect(try await events.nextSnapshot().id == poll.id)
        }
    }
}

extension LiveEvents.Iterator {
    mutating func nextSnapshot() async throws -> Poll {
        while true {
            if case .snapshot(let poll) = try #require(try await next()) { return poll }
        }
    }

    mutating func nextTally() async throws -> Tally {
        while true {
            if case .tally(let tally) = try #require(try await next()) { return tally }
        }
    }
}

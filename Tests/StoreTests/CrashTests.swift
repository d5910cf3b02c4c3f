import Glibc
import Polls
import TestRandom
import Testing

@testable import Store

/// A process that settles batches is killed again and again.
struct CrashTests {
    @Test func `no kill loses an answered ballot or leaves half a batch`() throws {
        let test = try TestStore()
        let poll = try test.createPoll()
        var firstVoter: UInt64 = 1
        var generator = SeededGenerator(seed: 2026)
        for _ in 0..<12 {
            test.sqlite.close()
            let batches = Int.random(in: 1...60, using: &generator)
            let lastAnswered = try killChild(
                after: batches, path: test.path, poll: poll.id, firstVoter: firstVoter)
            try test.reopen()
            let tally = try #require(try test.poll(poll.id)).tally
            #expect(UInt64(tally.ballots) >= lastAnswered, "an answered ballot is lost")
            // Voters come in order, so the stored ones are all up to some number: the end of the
            // last answered batch or of the one that was under way.
            let stored = UInt64(tally.ballots)
            #expect(tally.counts == [Int64(stored / 2), Int64(stored - stored / 2)])
            let next = lastAnswered + 1
            #expect([lastAnswered, lastAnswered + next % 97 + 1].contains(stored), "half a batch")
            #expect(
                try test.sqlite.hasBallot(
                    BallotKey(poll: poll.id, voter: VoterKey(high: 0, low: stored))))
            try test.expectConsistent(poll.id)
            firstVoter = stored + 1
        }
        #expect(firstVoter > 1000, "the children have done something")
    }

    /// - Returns: the last voter whose ballot the child has answered.
    private func killChild(after lineCount: Int, path: String, poll: PollID, firstVoter: UInt64)
        throws -> UInt64
    {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        posix_spawn_file_actions_addclose(&actions, ends[0])
        posix_spawn_file_actions_addclose(&actions, ends[1])
        defer { posix_spawn_file_actions_destroy(&actions) }
        let arguments = [try childPath(), path, "\(poll.rawValue)", "\(firstVoter)"]
        var pointers = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var child: pid_t = 0
        try #require(posix_spawn(&child, arguments[0], &actions, nil, &pointers, environ) == 0)
        close(ends[1])
        let lines = try #require(fdopen(ends[0], "r"))
        defer { fclose(lines) }
        var last = firstVoter - 1
        var line = [CChar](repeating: 0, count: 64)
        var count = 0
        while fgets(&line, 64, lines) != nil {
            last = strtoull(line, nil, 10)
            count += 1
            // Somewhere in the batches that follow.
            if count == lineCount { kill(child, SIGKILL) }
        }
        var status: Int32 = 0
        waitpid(child, &status, 0)
        #expect(status & 0x7F == SIGKILL, "it ended by itself")
        #expect(count >= lineCount)
        return last
    }

    /// Built beside the tests.
    private func childPath() throws -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        try #require(count > 0)
        let executable = String(
            decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // With the test runner's process in another place, its first argument names the bundle.
        let candidates = [executable, CommandLine.arguments[0]] + CommandLine.arguments
        for candidate in candidates {
            guard let slash = candidate.lastIndex(of: "/") else { continue }
            let path = candidate[..<slash] + "/StoreChild"
            if access(String(path), X_OK) == 0 { return String(path) }
        }
        Issue.record("StoreChild is not built")
        return ""
    }
}

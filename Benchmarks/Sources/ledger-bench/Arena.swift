import Foundation
import Polls
import Store
import TestServers

/// A server with a database of ours and, beside our table, a bare one like it.
final class Arena {
    private let server: PrivatePostgres
    private let database: String
    private let store: PostgresStore
    private let catalogue: any CatalogueStore
    private let bare: BareCopy
    private var random = SystemRandomNumberGenerator()
    private var pollCount = 0

    init(_ server: PrivatePostgres) throws {
        self.server = server
        database = server.createDatabase()
        store = try PostgresStore(conninfo: server.conninfo(database))
        _ = try store.prepare(migrates: true)
        catalogue = store.makeCatalogue()
        server.psql(
            """
            CREATE SCHEMA bare; CREATE TABLE bare.ballots (LIKE pollstream.ballots INCLUDING ALL)
            """, in: database)
        bare = try BareCopy(conninfo: server.conninfo(database), table: "bare.ballots")
    }

    // MARK: Turns

    func bareTurn(_ size: Int, _ seconds: Double) throws -> Turn {
        let poll = try makePoll()
        return try turn(seconds) {
            let ballots = makeBallots(size, in: poll).sorted { $0.key < $1.key }
            let began = now()
            try bare.store(ballots)
            return (size, now() - began)
        }
    }

    func ledgerTurn(_ load: Load, _ size: Int, _ seconds: Double) throws -> Turn {
        let poll = try makePoll()
        if load == .twoLedgers { return try twoLedgersTurn(poll, size, seconds) }
        let ledger = store.makeLedger()
        var stored: [Ballot] = []
        if load == .oldRepeats {
            // By another gateway, of which this one knows nothing.
            stored = makeBallots(50_000, in: poll)
            _ = try store.makeLedger().settle(stored)
        }
        let repeats = load == .new ? 0 : max(1, size / 100)
        return try turn(seconds) {
            var batch = makeBallots(size, in: poll)
            for index in 0..<min(repeats, stored.count) {
                var again = stored[Int.random(in: 0..<stored.count, using: &random)]
                again.id = Int64.random(in: 1...(.max), using: &random)
                batch[index] = again
            }
            let began = now()
            let outcomes = try ledger.settle(batch).outcomes
            let time = now() - began
            guard outcomes.allSatisfy(\.isStored) else {
                throw BenchFailure("a ballot was refused")
            }
            if load == .recentRepeats { stored = (stored + batch.suffix(200)).suffix(20_000) }
            return (size, time)
        }
    }

    private func twoLedgersTurn(_ poll: Poll, _ size: Int, _ seconds: Double) throws -> Turn {
        let before = Costs(server)
        let gateways = (0..<2).map { _ in LedgerThread(store.makeLedger()) }
        let batches = (0..<2).map { _ in (0..<200).map { _ in makeBallots(size, in: poll) } }
        let ready = Costs(server)
        let began = now()
        for (gateway, batches) in zip(gateways, batches) {
            gateway.start(batches, until: began + seconds)
        }
        let count = try gateways.reduce(0) { try $0 + $1.wait() }
        return ready.turn(count, now() - began, Costs(server), preparing: before)
    }

    /// Calls `step`, which tells how many ballots it stored and how long that took, for `seconds`.
    private func turn(_ seconds: Double, _ step: () throws -> (Int, Double)) throws -> Turn {
        let before = Costs(server)
        var count = 0
        var time = 0.0
        while time < seconds {
            let (stored, taken) = try step()
            count += stored
            time += taken
        }
        return before.turn(count, time, Costs(server))
    }

    // MARK: Ballots

    /// Rows of other polls, keys in no order, in both tables.
    func fill(_ count: Int) throws {
        for table in ["pollstream", "bare"] {
            server.psql(
                """
                TRUNCATE \(table).ballots;
                INSERT INTO \(table).ballots SELECT gen_random_uuid(), n, 1, NULL, 'voter', 0
                FROM generate_series(1, \(count)) n
                """, in: database)
        }
        server.psql("VACUUM ANALYZE pollstream.ballots, bare.ballots", in: database)
        server.psql("CHECKPOINT", in: database)
    }

    private func makePoll() throws -> Poll {
        pollCount += 1
        var fields = PollDraft.Fields()
        fields.title = "Which?"
        fields.options = ["a", "b", "c", "d"]
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        return try catalogue.create(
            PollDraft(fields, now: now), hostKeyHash: [1], joinCode: "BENCH\(pollCount)"
        ).poll
    }

    private func makeBallots(_ count: Int, in poll: Poll) -> [Ballot] {
        (0..<count).map { index in
            Ballot(
                key: BallotKey(
                    poll: poll.id,
                    voter: VoterKey(high: random.next(), low: random.next())),
                pollID: poll.id, id: Int64.random(in: 1...(.max), using: &random),
                choices: Choices(mask: 1 << UInt64(index % 4)), edition: poll.edition,
                allowsChange: false, voter: "voter \(index)", castAt: 1_790_000_000_000,
                ticket: nil)
        }
    }
}

struct BenchFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// A gateway's ledger, on a thread of its own.
private final class LedgerThread: @unchecked Sendable {
    private let ledger: any LedgerStore
    private let ended = DispatchSemaphore(value: 0)
    private var result: Result<Int, any Error> = .success(0)

    init(_ ledger: any LedgerStore) { self.ledger = ledger }

    func start(_ batches: [[Ballot]], until deadline: Double) {
        Foundation.Thread {
            self.result = Result { try self.run(batches, until: deadline) }
            self.ended.signal()
        }.start()
    }

    /// - Returns: ballots stored.
    func wait() throws -> Int {
        ended.wait()
        return try result.get()
    }

    private func run(_ batches: [[Ballot]], until deadline: Double) throws -> Int {
        var count = 0
        for batch in batches where now() < deadline {
            count += try ledger.settle(batch).outcomes.filter(\.isStored).count
        }
        return count
    }
}

/// CPU so far, of the server's processes and of ours, and where the write-ahead log stands.
private struct Costs {
    private let server: Double
    private let ours: Double
    private let log: Double

    init(_ server: PrivatePostgres) {
        self.server = server.cpuSeconds
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        ours =
            Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
        log = Double(server.psql("SELECT pg_current_wal_insert_lsn() - '0/0'")) ?? 0
    }

    /// - Parameter preparing: when ballots began to be made, where that is to be left out.
    func turn(_ count: Int, _ seconds: Double, _ after: Costs, preparing: Costs? = nil) -> Turn {
        let ballots = Double(count)
        return Turn(
            rate: ballots / seconds, serverCPU: (after.server - server) / ballots * 1e6,
            ourCPU: (after.ours - ours) / ballots * 1e6, logBytes: (after.log - log) / ballots)
    }
}

private func now() -> Double {
    Double(DispatchTime.now().uptimeNanoseconds) / 1e9
}

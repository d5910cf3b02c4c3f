import Glibc
import Polls
import TestServers
import TestSockets
import Testing
import Threads

@testable import Store

struct PostgresConnectionTests {
    private let server = PrivatePostgres.shared

    private func connect(_ database: String = "postgres") throws -> PostgresConnection {
        try PostgresConnection(
            conninfo: server.conninfo(database), deadline: postgresDeadline(in: 60_000))
    }

    @Test func `values go there and come back`() throws {
        let connection = try connect()
        var parameters = PostgresParameters()
        parameters.append(Int64.min)
        parameters.append(nil as Int64?)
        parameters.append("\"quoted\", {braces} and 'Größe' 🗳️")
        parameters.append([0, 255, 92] as [UInt8])
        parameters.append(BallotKey(high: 0x0001_0203_0405_0607, low: .max))
        parameters.append([1, nil, -3] as [Int64?])
        parameters.append([] as [Int64?])
        parameters.append(["a,b", "", "NULL"])
        let rows = try connection.execute(
            "SELECT $1, $2, $3, encode($4, 'hex'), $5, $6, $7, ($8)[1], ($8)[3], true", parameters,
            until: postgresDeadline(in: 60_000))
        #expect(try rows.integer(0, 0) == .min)
        #expect(try rows.optionalInteger(0, 1) == nil)
        #expect(rows.text(0, 2) == "\"quoted\", {braces} and 'Größe' 🗳️")
        #expect(try rows.blob(0, 3) == [0, 255, 92])
        #expect(try rows.key(0, 4) == BallotKey(high: 0x0001_0203_0405_0607, low: .max))
        #expect(try rows.optionalIntegers(0, 5) == [1, nil, -3])
        #expect(try rows.integers(0, 6).isEmpty)
        #expect(rows.text(0, 7) == "a,b" && rows.text(0, 8) == "NULL")
        #expect(rows.bool(0, 9))
    }

    @Test func `what is not what it should be is damage, not a crash`() throws {
        let connection = try connect()
        let rows = try connection.execute(
            "SELECT 'x', '{1,x}', '0', 'abc', '{', NULL", until: postgresDeadline(in: 60_000))
        #expect(throws: PostgresFailure.self) { try rows.integer(0, 0) }
        #expect(throws: PostgresFailure.self) { try rows.integers(0, 1) }
        #expect(throws: PostgresFailure.self) { try rows.blob(0, 2) }
        #expect(throws: PostgresFailure.self) { try rows.key(0, 3) }
        #expect(throws: PostgresFailure.self) { try rows.integers(0, 4) }
        #expect(throws: PostgresFailure.self) { try rows.integer(0, 5) }
    }

    @Test func `an error leaves the connection usable`() throws {
        let connection = try connect()
        for _ in 0..<3 {
            #expect(throws: PostgresFailure.self) {
                _ = try connection.execute("SELECT 1/0", until: postgresDeadline(in: 60_000))
            }
            #expect(!connection.isBroken)
        }
        #expect(
            try connection.execute("SELECT 1; SELECT 2", until: postgresDeadline(in: 60_000))
                .integer(0, 0) == 2)
    }

    @Test func `who is cut off is lost`() throws {
        let connection = try connect()
        #expect(throws: PostgresFailure.self) {
            _ = try connection.execute(
                "SELECT pg_terminate_backend(pg_backend_pid())",
                until: postgresDeadline(in: 60_000))
        }
        #expect(connection.isBroken)
    }

    @Test func `a question without an answer ends at its deadline`() throws {
        let connection = try connect()
        let failure = #expect(throws: PostgresFailure.self) {
            _ = try connection.execute("SELECT pg_sleep(20)", until: postgresDeadline(in: 100))
        }
        guard case .lost? = failure else {
            Issue.record("\(failure as Any)")
            return
        }
        #expect(connection.isBroken)
    }

    @Test func `who accepts and says nothing is given up at the deadline`() throws {
        let listener = try #require(Listener())
        #expect(throws: PostgresFailure.self) {
            _ = try PostgresConnection(
                conninfo: "postgres://test@127.0.0.1:\(listener.port)/x",
                deadline: postgresDeadline(in: 100))
        }
    }

    @Test func `a statement that a pooler does not know is sent whole`() throws {
        let connection = try connect()
        let statement = PostgresStatement(name: "one", sql: "SELECT $1 + 1")
        var parameters = PostgresParameters()
        parameters.append(41)
        for round in 0..<4 {
            // As a pooler does that hands the next transaction to another session.
            if round == 1 {
                try connection.execute("DEALLOCATE ALL", until: postgresDeadline(in: 60_000))
            }
            let rows = try connection.execute(
                statement, parameters, until: postgresDeadline(in: 60_000))
            #expect(try rows.integer(0, 0) == 42)
        }
    }

    @Test func `secrets are not in what is said of a failure`() throws {
        for conninfo in [
            "postgres://u:hush@127.0.0.1:1/x", "host=127.0.0.1 port=1 user=u password=hush",
            "postgres://u:hush@/x?host=/nowhere",
        ] {
            let failure = #expect(throws: PostgresFailure.self) {
                _ = try PostgresConnection(
                    conninfo: conninfo, deadline: postgresDeadline(in: 60_000))
            }
            #expect(failure?.reason.contains("hush") == false, "\(failure as Any)")
        }
        for conninfo in [
            "postgres://u:hush@[::1/x", "postgres://u:hu/sh@127.0.0.1:1/x",
            "postgres://u:hu@sh@127.0.0.1:1/x", "postgres://u:hu:sh@127.0.0.1:1:2/x",
        ] {
            let error = #expect(throws: StoreError.self) { try PostgresStore(conninfo: conninfo) }
            let said = "\(error as Any)"
            #expect(!said.contains("hu\"") && !said.contains("sh@") && !said.contains("hush"))
        }
    }

    @Test func `all sessions together try about once a second`() throws {
        let pacer = ReconnectPacer(random: { 0 })
        var attempts = 0
        let began = Clock.monotonicNanoseconds()
        while attempts < 3 {
            for _ in 0..<8 {
                do throws(PostgresFailure) {
                    try pacer.begin()
                    attempts += 1
                    pacer.end(succeeded: false)
                } catch {}
            }
            usleep(1_000)
        }
        #expect(attempts == 3)
        #expect(Clock.monotonicNanoseconds() - began >= 1_500_000_000)
    }

    @Test func `a connection that had lasted is made again at once, a young one is not`() throws {
        let pacer = ReconnectPacer(random: { 0 })
        for _ in 0..<5 {
            // Several that were cut off together.
            pacer.noteBreak(after: 60_000_000_000)
            try pacer.begin()
            pacer.end(succeeded: true)
        }
        pacer.noteBreak(after: 1_000)
        #expect(throws: PostgresFailure.self) { try pacer.begin() }
    }

    @Test func `of several hosts a silent one costs its own time`() throws {
        let listener = try #require(Listener())
        let target = try PostgresTarget(
            "postgres://test@127.0.0.1:\(listener.port),127.0.0.1:\(server.port)/postgres")
        #expect(target.hosts.map(\.port) == ["\(listener.port)", "\(server.port)"])
        var settings = PostgresSettings()
        settings.connectLimit = 500
        let session = PostgresSession(
            target: target, settings: settings, pacer: ReconnectPacer())
        let one = try session.withConnection { (connection) throws(PostgresFailure) in
            try connection.execute("SELECT 1", until: postgresDeadline(in: 60_000)).integer(0, 0)
        }
        #expect(one == 1)
    }

    @Test(arguments: ["4:Soup5:Salad", "0:", "", "7:4:Soup5"])
    func `option texts stand behind their lengths`(text: String) {
        let texts = LengthPrefixed.split(text)
        #expect(texts != nil)
        #expect(texts?.map { "\($0.utf8.count):\($0)" }.joined() == text)
    }

    @Test(arguments: ["4:Sou", "x:y", "-1:", "4", "4:Soup5", "99999999999999999999:a"])
    func `other texts are none`(text: String) {
        #expect(LengthPrefixed.split(text) == nil)
    }
}

/// Accepts in its queue and says nothing.
private final class Listener {
    let port: UInt16
    private let descriptor: Int32

    init?() {
        port = PrivatePostgres.freePort()
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let result = withLoopback(port: port) { bind(descriptor, $0, $1) }
        if result != 0 || listen(descriptor, 8) != 0 { return nil }
    }

    deinit { close(descriptor) }
}

import TestServers
import Testing

@testable import Store

struct PostgresSchemaTests {
    private let server = PrivatePostgres.shared

    private func store(_ database: String, _ schema: PostgresSchema = .current) throws
        -> PostgresStore
    {
        try PostgresStore(
            conninfo: server.conninfo(database), settings: PostgresSettings(), schema: schema)
    }

    private func version(_ database: String) -> String {
        server.psql("SELECT version FROM pollstream.schema_version", in: database)
    }

    /// A ladder with steps above ours.
    private func ladder(_ steps: String...) -> PostgresSchema {
        PostgresSchema(steps: PostgresSchema.current.steps + steps)
    }

    @Test func `several gateways make the schema once and share its keys`() async throws {
        let database = server.createDatabase()
        let stores = try (0..<4).map { _ in try store(database) }
        let keys = try await withThrowingTaskGroup(of: [UInt8].self) { group in
            for store in stores {
                group.addTask {
                    try await onThread {
                        let keys = try store.prepare(migrates: true)
                        return keys.identity + keys.cookie
                    }
                }
            }
            return try await group.reduce(into: Set<[UInt8]>()) { $0.insert($1) }
        }
        #expect(keys.count == 1 && keys.first?.count == 64)
        #expect(version(database) == "\(PostgresSchema.current.version)")
    }

    @Test func `an older schema climbs, and keeps what it holds`() throws {
        let database = server.createDatabase()
        let keys = try store(database).prepare(migrates: true)
        let newer = ladder("CREATE TABLE pollstream.more (n int)")
        #expect(throws: StoreError.self) { try store(database, newer).prepare(migrates: false) }
        #expect(throws: StoreError.self) { try store(database, newer).check(migrates: false) }
        try store(database, newer).check(migrates: true)
        #expect(version(database) == "\(PostgresSchema.current.version)", "a look changes nothing")
        let climbed = try store(database, newer).prepare(migrates: true)
        #expect(climbed.identity == keys.identity && climbed.cookie == keys.cookie)
        #expect(version(database) == "\(newer.version)")
    }

    @Test func `a newer schema is refused`() throws {
        let database = server.createDatabase()
        _ = try store(database, ladder("CREATE TABLE pollstream.more (n int)"))
            .prepare(migrates: true)
        for migrates in [true, false] {
            let error = #expect(throws: StoreError.self) {
                try store(database).prepare(migrates: migrates)
            }
            guard case .unusable(let reason)? = error, reason.contains("newer") else {
                Issue.record("\(error as Any)")
                return
            }
        }
    }

    @Test func `a step that fails leaves the old version whole`() throws {
        let database = server.createDatabase()
        _ = try store(database).prepare(migrates: true)
        let broken = ladder("CREATE TABLE pollstream.more (n int)", "SELECT 1/0")
        #expect(throws: StoreError.self) { try store(database, broken).prepare(migrates: true) }
        #expect(version(database) == "\(PostgresSchema.current.version)")
        #expect(
            server.psql("SELECT to_regclass('pollstream.more') IS NULL", in: database) == "t")
        _ = try store(database).prepare(migrates: false)
    }
}

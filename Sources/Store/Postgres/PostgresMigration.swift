/// How a database comes to have the tables.
extension PostgresSchema {
    /// Serialises migrations of all gateways: "PSTM".
    private static let advisoryLock: Int64 = 0x5053_544D
    /// For a migration of somebody else, and for our own.
    private static let migrationLimit: Int64 = 120_000
    /// Of a wait for a table that somebody reads, a backup perhaps, milliseconds: who comes behind us
    /// waits as long. Then it is tried again.
    private static let tableLimit: Int64 = 2_000

    /// Brings the database from its version to ours in one transaction: all of it or nothing.
    func prepare(_ connection: PostgresConnection, migrates: Bool) throws(PostgresFailure)
        -> StoreKeys
    {
        if try check(connection, migrates: migrates) < version { try upgrade(connection) }
        return try readKeys(connection)
    }

    /// Changes nothing. - Returns: the database's version, 0 where it has no tables.
    @discardableResult
    func check(_ connection: PostgresConnection, migrates: Bool) throws(PostgresFailure) -> Int64 {
        let found = try readVersion(connection)
        if found > version {
            throw .rejected(
                .unusable(
                    reason: "schema version \(found) is newer than \(version), which this "
                        + "pollstream knows; run a newer pollstream"))
        }
        if let reason = try misfit(connection) { throw .rejected(.unusable(reason: reason)) }
        if found < version, !migrates {
            let what = found == 0 ? "the schema is missing" : "schema version \(found) is old"
            throw .rejected(
                .unusable(reason: "\(what); run pollstream migrate --database …"))
        }
        return found
    }

    private func upgrade(_ connection: PostgresConnection) throws(PostgresFailure) {
        let deadline = postgresDeadline(in: Self.migrationLimit)
        do throws(PostgresFailure) {
            try connection.execute(
                """
                BEGIN; SET LOCAL client_min_messages = warning;
                SELECT pg_advisory_xact_lock(\(Self.advisoryLock));
                SET LOCAL lock_timeout = \(Self.tableLimit)
                """, until: deadline)
            // Somebody else may have been quicker.
            let found = try check(connection, migrates: true)
            if found < version {
                if found == 0 {
                    // A role may own the schema without the right to make one.
                    if !(try isThere("pg_namespace WHERE nspname = 'pollstream'", connection)) {
                        try connection.execute("CREATE SCHEMA pollstream", until: deadline)
                    }
                    try connection.execute(Self.foundation, until: deadline)
                }
                for step in steps[Int(found)...] {
                    try connection.execute(step, until: deadline)
                }
                for name in ["identity", "cookie"] {
                    var key = PostgresParameters()
                    key.append(name)
                    key.append(Self.randomKey())
                    try connection.execute(
                        "INSERT INTO pollstream.keys VALUES ($1, $2) ON CONFLICT DO NOTHING", key,
                        until: deadline)
                }
                try connection.execute(
                    "UPDATE pollstream.schema_version SET version = \(version)", until: deadline)
            }
            try connection.execute("COMMIT", until: deadline)
        } catch {
            if !connection.isBroken {
                _ = try? connection.execute("ROLLBACK", until: postgresDeadline(in: 1_000))
            }
            throw Self.explain(error)
        }
    }

    private static let foundation = """
        CREATE TABLE pollstream.schema_version (version bigint NOT NULL);
        INSERT INTO pollstream.schema_version VALUES (0);
        """

    private func readVersion(_ connection: PostgresConnection) throws(PostgresFailure) -> Int64 {
        let deadline = postgresDeadline(in: 5_000)
        do throws(PostgresFailure) {
            // An error would end the transaction that may be under way.
            let tables = "pg_tables WHERE schemaname = 'pollstream'"
            if !(try isThere(tables + " AND tablename = 'schema_version'", connection)) { return 0 }
            return try connection.execute(
                "SELECT version FROM pollstream.schema_version", until: deadline
            ).integer(0, 0)
        } catch { throw Self.explain(error) }
    }

    /// Which setting of the server or the role we cannot work with, if any.
    private func misfit(_ connection: PostgresConnection) throws(PostgresFailure) -> String? {
        let rows = try connection.execute(
            """
            SELECT current_setting('default_transaction_isolation') = 'read committed',
                current_setting('server_encoding') IN ('UTF8', 'SQL_ASCII'),
                current_setting('client_min_messages') NOT IN ('error', 'fatal', 'panic')
            """, until: postgresDeadline(in: 5_000))
        if !rows.bool(0, 0) {
            return "default_transaction_isolation is not read committed, by which a ballot sees "
                + "what it waited for; ALTER ROLE … SET "
                + "default_transaction_isolation = 'read committed'"
        }
        if !rows.bool(0, 1) {
            return "the database's encoding is not UTF8, which names and options may need; "
                + "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        }
        if !rows.bool(0, 2) {
            return "client_min_messages hides the warning that a standby lacks a commit; "
                + "ALTER ROLE … SET client_min_messages = 'warning'"
        }
        return nil
    }

    /// By a query of the catalogue's tables, which sees what others have committed: the functions
    /// that look up names remember what was not there.
    private func isThere(_ rows: String, _ connection: PostgresConnection)
        throws(PostgresFailure) -> Bool
    {
        try connection.execute(
            "SELECT EXISTS (SELECT FROM pg_catalog.\(rows))", until: postgresDeadline(in: 5_000)
        ).bool(0, 0)
    }

    private func readKeys(_ connection: PostgresConnection) throws(PostgresFailure) -> StoreKeys {
        func key(_ name: String) throws(PostgresFailure) -> [UInt8] {
            let rows = try connection.execute(
                "SELECT encode(value, 'hex') FROM pollstream.keys WHERE name = '\(name)'",
                until: postgresDeadline(in: 5_000))
            guard rows.count == 1, case let key = try rows.blob(0, 0), key.count == 32 else {
                throw .rejected(.unusable(reason: "the \(name) key is missing"))
            }
            return key
        }
        do throws(PostgresFailure) {
            return StoreKeys(identity: try key("identity"), cookie: try key("cookie"))
        } catch { throw Self.explain(error) }
    }

    /// Missing rights do not come by waiting.
    private static func explain(_ failure: PostgresFailure) -> PostgresFailure {
        guard failure.sqlState == SQLState.insufficientPrivilege else { return failure }
        return .rejected(
            .unusable(
                reason: "\(failure.reason); the role has to own the schema: "
                    + "CREATE SCHEMA pollstream AUTHORIZATION its_name, or ALTER SCHEMA pollstream "
                    + "OWNER TO its_name"))
    }

    /// 32 bytes by getrandom(2), which is what the standard library's generator is on Linux.
    private static func randomKey() -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<32).map { _ in generator.next() }
    }
}

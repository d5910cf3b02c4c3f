import CSQLite

/// The tables, and the ladder by which an older file climbs to them: step N takes a file from
/// version N to N + 1, and a fresh file climbs all of it. A step that has been released is never
/// edited.
struct SQLiteSchema: Sendable {
    /// "PSTM" in the file's header: tells our files from other programs'.
    static let applicationID: Int64 = 0x5053_544D

    let steps: [String]

    /// Kept in the file's header as `user_version`; 0 is a file without tables.
    var version: Int64 { Int64(steps.count) }

    static let current = SQLiteSchema(steps: [
        """
        -- Secrets made with the schema, shared by whoever opens it.
        CREATE TABLE keys (
            name TEXT PRIMARY KEY,
            value BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;

        -- Words; nothing that a commit checks. Ids are never used again.
        CREATE TABLE polls (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            title TEXT NOT NULL,
            description TEXT NOT NULL,
            creator_name TEXT NOT NULL,
            kind TEXT NOT NULL CHECK (kind IN ('single', 'multiple')),
            max_choices INTEGER NOT NULL,
            results TEXT NOT NULL CHECK (results IN ('live', 'after_vote', 'after_close')),
            created_at INTEGER NOT NULL,
            join_code TEXT NOT NULL UNIQUE,
            host_key_hash BLOB NOT NULL
        ) STRICT;

        CREATE TABLE options (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            poll_id INTEGER NOT NULL REFERENCES polls ON DELETE CASCADE,
            position INTEGER NOT NULL,
            text TEXT NOT NULL,
            UNIQUE (poll_id, position)
        ) STRICT;

        -- Everything that a commit checks, and what it changes. Times are Unix milliseconds; counts
        -- are a JSON array by position, '[11,4]'.
        CREATE TABLE tallies (
            poll_id INTEGER PRIMARY KEY,
            revision INTEGER NOT NULL,
            shown_revision INTEGER NOT NULL,
            edition INTEGER NOT NULL,
            opens_at INTEGER,
            closes_at INTEGER,
            closed_at INTEGER,
            deleted_at INTEGER,
            is_opened INTEGER NOT NULL CHECK (is_opened IN (0, 1)),
            change_vote INTEGER NOT NULL CHECK (change_vote IN (0, 1)),
            ballots INTEGER NOT NULL CHECK (ballots >= 0),
            counts TEXT NOT NULL
        ) STRICT;

        -- Lists by state, newest first. A commit of ballots touches none of these columns, and so
        -- none of these indices.
        CREATE INDEX scheduled_polls ON tallies (poll_id) WHERE closed_at IS NULL AND is_opened = 0;
        CREATE INDEX open_polls ON tallies (poll_id) WHERE closed_at IS NULL AND is_opened = 1;
        CREATE INDEX closed_polls ON tallies (poll_id)
            WHERE closed_at IS NOT NULL AND deleted_at IS NULL;
        CREATE INDEX deleted_polls ON tallies (poll_id) WHERE deleted_at IS NOT NULL;
        -- What is due.
        CREATE INDEX openings ON tallies (opens_at) WHERE closed_at IS NULL AND is_opened = 0;
        CREATE INDEX closings ON tallies (closes_at)
            WHERE closed_at IS NULL AND closes_at IS NOT NULL;

        -- key: poll id (6 bytes, big endian) and 10 bytes of the voter's keyed hash.
        -- choices: a bit per position. previous: NULL where the poll forbids change, 0 where the
        -- ballot was never changed. A row is the voter's last ballot as it was cast.
        CREATE TABLE ballots (
            key BLOB PRIMARY KEY,
            ballot_id INTEGER NOT NULL,
            choices INTEGER NOT NULL,
            previous INTEGER,
            voter TEXT NOT NULL,
            cast_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """,
        """
        -- Retention: 1 when the voters' texts are gone, 2 when the ballots are; the last key that
        -- was worked on, while it is at it; when it began to remove ballots.
        ALTER TABLE tallies ADD COLUMN retention INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE tallies ADD COLUMN retention_key BLOB;
        ALTER TABLE tallies ADD COLUMN emptied_at INTEGER;
        CREATE INDEX retained_polls ON tallies (retention, closed_at)
            WHERE closed_at IS NOT NULL AND deleted_at IS NULL AND retention < 2;
        """,
        "ALTER TABLE polls ADD COLUMN ask_name INTEGER NOT NULL DEFAULT 0;",
        events,
    ])

    /// Brings the file from its version to ours in one transaction: all of it or nothing.
    func upgrade(_ connection: SQLiteConnection, from version: Int64) throws(SQLiteFailure) {
        try connection.execute("BEGIN IMMEDIATE")
        do {
            for step in steps[Int(version)...] { try connection.execute(step) }
            for name in ["identity", "cookie"] {
                try SQLiteStatement("INSERT OR IGNORE INTO keys VALUES (?, ?)", on: connection)
                    .with(.text(name), .blob(Self.randomKey())).run()
            }
            try connection.execute("PRAGMA application_id = \(Self.applicationID)")
            try connection.execute("PRAGMA user_version = \(self.version)")
            try connection.execute("COMMIT")
        } catch {
            connection.rollBack()
            throw error
        }
    }

    static func readKeys(_ connection: SQLiteConnection) throws(SQLiteFailure) -> StoreKeys {
        func key(_ name: String) throws(SQLiteFailure) -> [UInt8] {
            let key = try SQLiteStatement("SELECT value FROM keys WHERE name = ?", on: connection)
                .with(.text(name)).first { (row) throws(SQLiteFailure) in row.blob(0) }
            guard let key, key.count == 32 else {
                throw .failed(code: SQLITE_CORRUPT, reason: "the \(name) key is missing")
            }
            return key
        }
        return StoreKeys(identity: try key("identity"), cookie: try key("cookie"))
    }

    /// 32 bytes by getrandom(2), which is what the standard library's generator is on Linux.
    private static func randomKey() -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<32).map { _ in generator.next() }
    }
}

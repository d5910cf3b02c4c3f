/// What is kept for other services. Triggers write it, and exist only while somebody wants it.
extension SQLiteSchema {
    /// A step of the ladder.
    static let events = """
        -- A row for each ballot and each change of a poll; one connection writes, so ids are in the
        -- order of the commits. They are never used again, or a row could be deleted for another. Of a
        -- ballot: the poll's part of its key. Of a poll that changed: its words and figures.
        CREATE TABLE events (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL,
            poll_key BLOB,
            ballot_id INTEGER,
            choices INTEGER,
            replaced INTEGER,
            voter TEXT,
            cast_at INTEGER,
            poll_id INTEGER,
            revision INTEGER,
            title TEXT,
            results TEXT,
            option_ids TEXT,
            option_texts TEXT,
            state TEXT,
            starts_at INTEGER,
            end_time INTEGER,
            closed_at INTEGER,
            ballots INTEGER,
            counts TEXT
        ) STRICT;
        CREATE INDEX deleted_events ON events (poll_id) WHERE kind = 'deleted';
        """

    /// A commit of ballots leaves `shown_revision` as it is; every other change raises it.
    static let record = """
        CREATE TRIGGER IF NOT EXISTS record_stored AFTER INSERT ON ballots BEGIN
            INSERT INTO events (kind, poll_key, ballot_id, choices, replaced, voter, cast_at)
            VALUES ('ballots', substr(new.key, 1, 6), new.ballot_id, new.choices, 0, new.voter,
                new.cast_at);
        END;
        CREATE TRIGGER IF NOT EXISTS record_replaced AFTER UPDATE OF choices ON ballots
        WHEN old.choices <> new.choices BEGIN
            INSERT INTO events (kind, poll_key, ballot_id, choices, replaced, voter, cast_at)
            VALUES ('ballots', substr(new.key, 1, 6), new.ballot_id, new.choices, old.choices,
                new.voter, new.cast_at);
        END;
        CREATE TRIGGER IF NOT EXISTS record_created AFTER INSERT ON tallies BEGIN
            \(insert(kind: "'created'"));
        END;
        CREATE TRIGGER IF NOT EXISTS record_changed AFTER UPDATE OF shown_revision ON tallies
        WHEN old.shown_revision <> new.shown_revision BEGIN
            \(insert(kind: """
                CASE
                    WHEN new.deleted_at IS NOT NULL THEN 'deleted'
                    WHEN old.closed_at IS NULL AND new.closed_at IS NOT NULL THEN 'closed'
                    WHEN new.is_opened > old.is_opened THEN 'opened'
                    ELSE 'changed'
                END
                """));
        END
        """

    private static func insert(kind: String) -> String {
        """
        INSERT INTO events (kind, poll_id, revision, title, results, option_ids, option_texts, state,
            starts_at, end_time, closed_at, ballots, counts)
        SELECT \(kind), new.poll_id, new.revision, p.title, p.results,
            (SELECT '[' || coalesce(group_concat(id, ','), '') || ']' FROM
                (SELECT id FROM options WHERE poll_id = new.poll_id ORDER BY position)),
            (SELECT coalesce(group_concat(length(CAST(text AS BLOB)) || ':' || text, ''), '') FROM
                (SELECT text FROM options WHERE poll_id = new.poll_id ORDER BY position)),
            CASE WHEN new.closed_at IS NOT NULL THEN 'closed'
                WHEN new.is_opened THEN 'open' ELSE 'scheduled' END,
            new.opens_at, new.closes_at, new.closed_at, new.ballots, new.counts
        FROM polls p WHERE p.id = new.poll_id
        """
    }

    static let forgetAll = """
        DROP TRIGGER IF EXISTS record_stored;
        DROP TRIGGER IF EXISTS record_replaced;
        DROP TRIGGER IF EXISTS record_created;
        DROP TRIGGER IF EXISTS record_changed;
        DELETE FROM events
        """

    static let isRecording = """
        SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name = 'record_changed'
        """
}

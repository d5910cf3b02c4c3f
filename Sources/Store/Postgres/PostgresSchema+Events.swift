/// What is kept for other services.
///
/// Triggers write it, in the transaction of what they tell of, and exist only while somebody wants it
/// (`record`): a ledger whose events nobody wants has nothing to do, and no gateway can forget to.
extension PostgresSchema {
    static let events = """
        -- A row for each commit and each poll that it changed. Revisions grow under the tally's lock,
        -- so their order is the order of the commits of a poll, and who sees a row sees all earlier
        -- ones of that poll. Words and figures are those of a poll that changed; of ballots there is
        -- the transaction, by which they are found.
        CREATE TABLE pollstream.events (
            revision bigint NOT NULL,
            id bigint GENERATED ALWAYS AS IDENTITY,
            poll_id bigint NOT NULL,
            kind text NOT NULL,
            transaction bigint,
            title text,
            results text,
            option_ids bigint[],
            option_texts text,
            state text,
            starts_at bigint,
            end_time bigint,
            closed_at bigint,
            ballots bigint,
            counts bigint[],
            PRIMARY KEY (revision, id)
        );
        CREATE INDEX deleted_events ON pollstream.events (poll_id) WHERE kind = 'deleted';

        -- Ballots of one statement and poll, an element each. The id tells rows apart where a restored
        -- backup has brought transactions' numbers back: nothing here may ever refuse a ballot.
        CREATE TABLE pollstream.event_ballots (
            transaction bigint NOT NULL,
            poll_id bigint NOT NULL,
            id bigint GENERATED ALWAYS AS IDENTITY,
            size bigint NOT NULL,
            ballot_ids bigint[] NOT NULL,
            choices bigint[] NOT NULL,
            replaced bigint[] NOT NULL,
            voters text[] NOT NULL,
            casts bigint[] NOT NULL,
            PRIMARY KEY (transaction, poll_id, id)
        );

        -- The one gateway that tells.
        CREATE TABLE pollstream.events_publisher (node bigint NOT NULL, until bigint NOT NULL);
        INSERT INTO pollstream.events_publisher VALUES (0, 0);

        CREATE FUNCTION pollstream.poll_of(key uuid) RETURNS bigint LANGUAGE sql IMMUTABLE AS
            $$ SELECT ('x' || translate(left(key::text, 13), '-', ''))::bit(48)::bigint $$;

        CREATE FUNCTION pollstream.record_stored() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO pollstream.event_ballots (transaction, poll_id, size, ballot_ids, choices,
                replaced, voters, casts)
            SELECT pg_current_xact_id()::text::bigint, pollstream.poll_of(s.key), count(*),
                array_agg(s.ballot_id), array_agg(s.choices), array_agg(0::bigint),
                array_agg(s.voter), array_agg(s.cast_at)
            FROM stored s GROUP BY 2;
            RETURN NULL;
        END $$;

        -- Retention, which blanks names, replaces no choice.
        CREATE FUNCTION pollstream.record_replaced() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO pollstream.event_ballots (transaction, poll_id, size, ballot_ids, choices,
                replaced, voters, casts)
            SELECT pg_current_xact_id()::text::bigint, pollstream.poll_of(s.key), count(*),
                array_agg(s.ballot_id), array_agg(s.choices), array_agg(e.choices),
                array_agg(s.voter), array_agg(s.cast_at)
            FROM stored s JOIN earlier e USING (key) WHERE e.choices <> s.choices GROUP BY 2;
            RETURN NULL;
        END $$;

        -- A commit of ballots leaves `shown_revision` as it is; every other change raises it.
        CREATE FUNCTION pollstream.record_change() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            what text := 'created';
        BEGIN
            IF tg_op = 'UPDATE' THEN
                IF new.shown_revision = old.shown_revision THEN
                    INSERT INTO pollstream.events (revision, poll_id, kind, transaction)
                        VALUES (new.revision, new.poll_id, 'ballots',
                            pg_current_xact_id()::text::bigint);
                    RETURN NULL;
                END IF;
                what := CASE
                    WHEN new.deleted_at IS NOT NULL THEN 'deleted'
                    WHEN old.closed_at IS NULL AND new.closed_at IS NOT NULL THEN 'closed'
                    WHEN new.is_opened AND NOT old.is_opened THEN 'opened'
                    ELSE 'changed'
                END;
            END IF;
            INSERT INTO pollstream.events (revision, poll_id, kind, title, results, option_ids,
                option_texts, state, starts_at, end_time, closed_at, ballots, counts)
            SELECT new.revision, new.poll_id, what, p.title, p.results,
                coalesce(array_agg(o.id ORDER BY o.position) FILTER (WHERE o.id IS NOT NULL), '{}'),
                coalesce(string_agg(octet_length(o.text) || ':' || o.text, '' ORDER BY o.position),
                    ''),
                CASE WHEN new.closed_at IS NOT NULL THEN 'closed'
                    WHEN new.is_opened THEN 'open' ELSE 'scheduled' END,
                new.opens_at, new.closes_at, new.closed_at, new.ballots, new.counts
            FROM pollstream.polls p LEFT JOIN pollstream.options o ON o.poll_id = p.id
            WHERE p.id = new.poll_id GROUP BY p.id;
            RETURN NULL;
        END $$;

        """

    /// Makes the triggers. Waits for who writes ballots just now, so that a commit is recorded whole or
    /// not at all.
    static let record = """
        CREATE OR REPLACE TRIGGER record_stored AFTER INSERT ON pollstream.ballots
            REFERENCING NEW TABLE AS stored
            FOR EACH STATEMENT EXECUTE FUNCTION pollstream.record_stored();
        CREATE OR REPLACE TRIGGER record_replaced AFTER UPDATE ON pollstream.ballots
            REFERENCING OLD TABLE AS earlier NEW TABLE AS stored
            FOR EACH STATEMENT EXECUTE FUNCTION pollstream.record_replaced();
        CREATE OR REPLACE TRIGGER record_created AFTER INSERT ON pollstream.tallies
            FOR EACH ROW EXECUTE FUNCTION pollstream.record_change();
        CREATE OR REPLACE TRIGGER record_changed AFTER UPDATE ON pollstream.tallies
            FOR EACH ROW WHEN (old.revision <> new.revision)
            EXECUTE FUNCTION pollstream.record_change();
        """

    static let forgetAll = """
        DROP TRIGGER IF EXISTS record_stored ON pollstream.ballots;
        DROP TRIGGER IF EXISTS record_replaced ON pollstream.ballots;
        DROP TRIGGER IF EXISTS record_created ON pollstream.tallies;
        DROP TRIGGER IF EXISTS record_changed ON pollstream.tallies;
        TRUNCATE pollstream.events, pollstream.event_ballots;
        """

    /// The last of the triggers is made last.
    static let isRecording = """
        SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger
            WHERE tgrelid = 'pollstream.tallies'::regclass AND tgname = 'record_changed')
        """
}

/// The function by which ballots are merged, which a step of the ladder has replaced.
extension PostgresSchema {
    /// Stores ballots, keys ascending and each once, of which some may be there already, and settles
    /// the tallies, whose changes are given as if none were (64 counts a poll). Answers every ballot
    /// that was not simply stored with the row as it stands and the choices that it replaced just now,
    /// and then the polls as `settle` does. Rows are found by the index, whatever the planner thinks of
    /// an empty table.
    /// - Parameter condition: of `excluded.previous`, which says what is to become of another ballot of
    ///   the voter; looked at when its row is locked, so that who came before us has gone before us.
    private static func merge(_ verb: String, replacingIf condition: String) -> String {
        """
        \(verb) FUNCTION pollstream.merge(
            keys uuid[], ids bigint[], choices bigint[], previous bigint[], voters text[],
            casts bigint[], polls bigint[], editions bigint[], masks bigint[], d_ballots bigint[],
            d_counts bigint[])
        RETURNS TABLE (r_poll bigint, r_revision bigint, r_ballots bigint, r_counts bigint[],
            r_changed boolean, r_key uuid, r_id bigint, r_choices bigint, r_previous bigint)
        LANGUAGE plpgsql SET lock_timeout = '800ms' SET enable_seqscan = off AS $$
        #variable_conflict use_column
        DECLARE
            stored uuid[];
            replaced uuid[];
            found record;
            gone bigint;
            p int;
            is_replaced boolean[] := '{}';
        BEGIN
            WITH moved AS (
                INSERT INTO pollstream.ballots AS b
                    (key, ballot_id, choices, previous, voter, cast_at)
                SELECT n.k, n.i, n.c, n.p, n.v, n.a
                    FROM unnest(merge.keys, merge.ids, merge.choices, merge.previous,
                        merge.voters, merge.casts) AS n (k, i, c, p, v, a) ORDER BY n.k
                ON CONFLICT (key) DO UPDATE SET
                    ballot_id = excluded.ballot_id, choices = excluded.choices,
                    previous = b.choices, voter = excluded.voter, cast_at = excluded.cast_at
                    WHERE b.choices <> excluded.choices AND (\(condition))
                RETURNING b.key, b.previous)
            SELECT array_agg(m.key) FILTER (WHERE m.previous IS NULL OR m.previous <= 0),
                array_agg(m.key) FILTER (WHERE m.previous > 0)
                INTO stored, replaced FROM moved m;
            IF cardinality(stored) IS DISTINCT FROM cardinality(keys) THEN
                -- In a snapshot of its own: who was waited for is seen now.
                FOR found IN
                    SELECT n.k, n.c, b.ballot_id, b.choices, b.previous,
                        n.k IN (SELECT unnest(replaced)) AS is_replaced
                    FROM (SELECT n.k, n.c FROM unnest(merge.keys, merge.choices) AS n (k, c)
                        WHERE NOT EXISTS (SELECT FROM unnest(stored) AS s (k) WHERE s.k = n.k)
                        OFFSET 0) AS n
                    LEFT JOIN LATERAL (SELECT x.ballot_id, x.choices, x.previous
                        FROM pollstream.ballots x WHERE x.key = n.k LIMIT 1) AS b ON true
                LOOP
                    p := array_position(merge.polls,
                        ('x' || translate(left(found.k::text, 13), '-', ''))::bit(48)::bigint);
                    gone := CASE WHEN found.is_replaced THEN found.previous ELSE found.c END;
                    d_ballots[p] := d_ballots[p] - 1;
                    IF found.is_replaced THEN
                        is_replaced[p] := true;
                    END IF;
                    FOR o IN 0..62 LOOP
                        IF gone >> o & 1 = 1 THEN
                            d_counts[64 * p - 63 + o] := d_counts[64 * p - 63 + o] - 1;
                        END IF;
                    END LOOP;
                    r_key := found.k;
                    r_id := found.ballot_id;
                    r_choices := found.choices;
                    r_previous := CASE WHEN found.is_replaced THEN found.previous END;
                    RETURN NEXT;
                END LOOP;
            END IF;
            RETURN QUERY SELECT s.*, NULL::uuid, NULL::bigint, NULL::bigint, NULL::bigint
                FROM pollstream.settle(merge.polls, merge.editions, merge.masks,
                    array_fill(64::bigint, ARRAY[cardinality(merge.polls)]), d_ballots, d_counts,
                    is_replaced) s;
        END $$;

        """
    }

    /// `previous` is 0 where the ballot may replace another, -1 where it must not although its poll
    /// allows it, NULL where the poll does not.
    static let mergeAtAnyTime = merge("CREATE", replacingIf: "excluded.previous = 0")

    /// What is below -1 may replace another for as long as the clock is below its amount. Older
    /// gateways, which say 0, are taken at their word.
    static let mergeInTime = merge(
        "CREATE OR REPLACE",
        replacingIf: """
            excluded.previous = 0
                        OR excluded.previous < -1 AND pollstream.unix_ms() < -excluded.previous
            """)
}

"""Several gateways on one PostgreSQL database."""

import contextlib
import json
import random
import threading
import time

import pytest

from answers import rows
from gateway import run_to_end
from live import Viewer, check_hides_counts
from postgres import server_fixture
from test_identity import new_identity
from test_postgres_faults import wait_until_ready
from voting import Receipts, ballots_for, cast_over_websocket, in_threads, join

pytestmark = [pytest.mark.postgres, pytest.mark.takes(50)]


server = server_fixture(password_encryption="scram-sha-256")


@pytest.fixture
def database(server):
    return server.create_database()


# Several gateways


@pytest.mark.timeout(180)
@pytest.mark.parametrize("count", [2, 3])
def test_a_thousand_voters_on_a_hundred_sockets_each_are_a_thousand_ballots(
    database, start_gateway, count
):
    gateways = [start_gateway("--ledger-connections", "2", store=database) for _ in range(count)]
    poll = gateways[0].create_poll(["a", "b", "c"])
    names = [f"voter {number}" for number in range(1_000)]
    told = [Receipts() for _ in range(100)]
    shuffled = random.Random(count)

    def vote(number: int):
        own = names.copy()
        shuffled.shuffle(own)
        # Whoever comes from several places chooses the same everywhere.
        ballots = ballots_for(poll, own)
        same = (type(b)(b.voter, poll.options[hash(b.voter) % 3]) for b in ballots)
        cast_over_websocket(gateways[number % count], poll, same, told[number], 64)

    join(in_threads(*((vote, number) for number in range(len(told)))), 150)
    outcomes = [outcome for receipts in told for outcome in receipts.outcomes.values()]
    assert len(outcomes) == 100 * 1_000
    assert outcomes.count("counted") + outcomes.count("repeated") == len(outcomes)
    assert database.stored_ballots() == 1_000
    audit = gateways[0].audit(poll)
    assert audit["consistent"] is True
    exported = rows(gateways[-1].ballots_csv(poll))
    assert sorted(row["voter"] for row in exported) == sorted(names)


@pytest.mark.timeout(120)
def test_of_different_choices_through_many_gateways_one_wins(database, start_gateway):  # F09
    gateways = [start_gateway(store=database) for _ in range(3)]
    poll = gateways[0].create_poll(["a", "b", "c"])
    names = [f"voter {number}" for number in range(200)]
    told = [Receipts() for _ in range(9)]

    def vote(number: int):
        own = random.Random(number).sample(names, len(names))
        ballots = (type(b)(b.voter, poll.options[number % 3]) for b in ballots_for(poll, own))
        cast_over_websocket(gateways[number // 3], poll, ballots, told[number], 16)

    join(in_threads(*((vote, number) for number in range(len(told)))), 100)
    heard = [{b.voter: outcome for b, outcome in each.outcomes.items()} for each in told]
    won = [0, 0, 0]
    for name in names:
        # The same choice again is counted as well, as it was; another is not.
        chosen = {number % 3 for number, each in enumerate(heard) if each[name] == "counted"}
        (winner,) = chosen
        assert all(
            each[name] == ("counted" if number % 3 == winner else "already_voted")
            for number, each in enumerate(heard)
        )
        won[winner] += 1
    deadline = time.monotonic() + 10
    while gateways[-1].results(poll)["counts"] != won:
        assert time.monotonic() < deadline
    assert gateways[1].audit(poll)["consistent"] is True


@pytest.mark.timeout(240)
def test_a_ballot_counts_if_and_only_if_it_was_stored_before_the_close(database, start_gateway):
    gateways = [start_gateway(store=database) for _ in range(3)]
    for turn in range(100):
        poll = gateways[0].create_poll()
        counted, final = [], []
        stop = threading.Event()

        def vote(gateway, number, poll=poll, counted=counted, stop=stop):
            with Viewer(gateway) as viewer:
                for name in range(1_000):
                    answer = viewer.vote(poll, name % 2, voter=f"{number}-{name}")
                    if answer["type"] == "error":
                        assert answer["code"] == "poll_closed", answer
                        return
                    counted.append(name % 2)
                    if stop.is_set():
                        return

        voters = in_threads(*((vote, gateways[n % 3], n) for n in range(3)))
        with Viewer(gateways[0], f"/ws/polls/{poll.id}/") as viewer:
            time.sleep(0.02 + (turn % 10) / 200)
            final.append(gateways[turn % 3].close(poll))
            if turn % 3 == 0:
                closed = viewer.until("state", state="closed")
                last = [m for m in viewer.messages if "revision" in m and "counts" in m]
                assert not last or last[-1]["revision"] <= closed["revision"]
            stop.set()
            join(voters, 20)
        ballots, marks, closed_at = database.execute(
            f"SELECT ballots, counts, closed_at FROM pollstream.tallies WHERE poll_id = {poll.id}"
        )[0]
        assert closed_at is not None
        assert [counted.count(0), counted.count(1)] == marks and ballots == len(counted)
        assert final[0]["total_votes"] == ballots, "the final tally is in the answer"
        assert gateways[0].audit(poll)["consistent"] is True


@pytest.mark.timeout(120)
def test_three_gateways_may_start_on_an_empty_database_at_once(database):
    done = []
    threads = in_threads(
        *((lambda: done.append(run_to_end("migrate", "--database", database.uri)),)
          for _ in range(3))
    )  # fmt: skip
    join(threads)
    assert [one.returncode for one in done] == [0, 0, 0], [one.stderr for one in done]
    assert database.execute("SELECT count(*) FROM pollstream.keys") == [(2,)]


# What one gateway's viewers see of the others


def test_viewers_of_one_gateway_see_what_happens_through_another(database, start_gateway):
    here, there = (start_gateway(store=database) for _ in range(2))
    poll, doomed = there.create_poll(), there.create_poll()
    with Viewer(here) as viewer:
        viewer.subscribe(poll.id, doomed.id)
        for number in range(3):
            there.cast(poll, 0, f"voter {number}")
            viewer.until("tally", poll_id=poll.id, total=number + 1)
        answer = there.call("PATCH", poll.path, token=poll.host_key, json={"title": "Renamed"})
        assert answer.status_code == 200
        viewer.until("snapshot")
        assert viewer.messages[-1]["poll"]["title"] == "Renamed"
        here.cast(poll, 1, "last")
        final = there.close(poll)
        viewer.until("state", poll_id=poll.id, state="closed")
        totals = [m["total"] for m in viewer.messages if m["type"] == "tally"]
        assert totals == sorted(totals) and final["total_votes"] == 4
        there.call("DELETE", doomed.path, token=doomed.host_key)
        viewer.until("state", poll_id=doomed.id)
    # What nobody watches is never older than a second.
    deadline = time.monotonic() + 2
    while here.poll(poll)["state"] != "closed" or here.results(poll)["total"] != 4:
        assert time.monotonic() < deadline
    assert here.get(doomed.path).status_code == 404


def test_who_votes_through_one_gateway_sees_the_counts_on_another(database, start_gateway):
    """Without Redis nobody tells the other gateway: each second it asks for some who wait."""
    here, there = start_gateway(store=database), start_gateway(store=database)
    poll = here.create_poll(results="after_vote")
    voters = [new_identity(here, poll)[1] for _ in range(40)]
    with contextlib.ExitStack() as stack:
        path = f"/ws/polls/{poll.id}/"
        viewers = [stack.enter_context(Viewer(there, path, token=voter)) for voter in voters]
        stranger = stack.enter_context(Viewer(there, path))
        for viewer in (*viewers, stranger):
            assert viewer.until("snapshot")["poll"]["total_votes"] is None
        for number, voter in enumerate(voters):
            assert here.vote(poll, number % 2, token=voter).status_code == 201
        for viewer in viewers:
            if viewer.until("snapshot")["poll"]["total_votes"] < len(voters):
                viewer.until("tally", total=len(voters))
        check_hides_counts(json.dumps(stranger.said_by_now()))


# What is taken away


def test_retention_takes_the_names_and_then_the_ballots_and_keeps_the_tally(
    database, start_gateway
):
    gateway = start_gateway("--retain", "2s", store=database)
    poll, kept = gateway.create_poll(), gateway.create_poll()
    for number in range(30):
        gateway.cast(poll, number % 2, f"voter {number}")
    gateway.cast(kept, 0, "still open")
    gateway.close(poll)

    def names(of):
        return database.execute(
            "SELECT count(*), count(*) FILTER (WHERE voter <> '') FROM pollstream.ballots"
            f" WHERE translate(key::text, '-', '') LIKE '{of.id:012x}%'"
        )[0]

    deadline = time.monotonic() + 30
    while names(poll) != (30, 0):
        assert time.monotonic() < deadline and names(poll)[0] == 30
        time.sleep(0.1)
    assert gateway.audit(poll)["consistent"] is True
    while names(poll) != (0, 0):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert gateway.results(poll)["counts"] == [15, 15]
    audit = gateway.audit(poll)
    assert audit["consistent"] is True
    assert audit["ballots_removed_at"] is not None
    assert names(kept) == (1, 1)
    wait_until_ready(gateway)

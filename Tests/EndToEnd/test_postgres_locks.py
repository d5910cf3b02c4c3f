"""Locks in the database that hold up a ballot, and ends of polls that come meanwhile."""

import threading
import time

import pytest

import test_postgres_faults
from answers import refused
from live import Viewer
from test_postgres_faults import COMMIT_LIMIT, wait_until_ready

pytestmark = [pytest.mark.postgres, pytest.mark.takes(40)]

# Fixtures.
steady, database = test_postgres_faults.steady, test_postgres_faults.database


@pytest.mark.timeout(120)
def test_a_lock_held_for_long_costs_its_own_poll_alone(database, start_gateway):
    gateway = start_gateway(store=database)
    poll, other = gateway.create_poll(), gateway.create_poll()
    with database.server.connect(database.name) as connection, connection.transaction():
        connection.execute(
            "SELECT 1 FROM pollstream.tallies WHERE poll_id = %s FOR UPDATE", [poll.id]
        )
        held = time.monotonic()
        began = time.monotonic()
        assert gateway.vote(poll, 0, "ada").status_code in (503, 504)
        assert time.monotonic() - began < 2 * COMMIT_LIMIT
        # Both in one batch: the other poll's ballots go through.
        with Viewer(gateway) as viewer:
            for number in range(20):
                for one in (poll, other):
                    viewer.send(type="vote", ref=f"{one.id}-{number}", poll_id=one.id,
                                option_ids=[one.options[0]], voter=f"v{number}")  # fmt: skip
            answers = [viewer.receive() for _ in range(40)]
        counted = [a for a in answers if a["type"] == "ack" and a["status"] == "counted"]
        assert {a["poll_id"] for a in counted} == {other.id}
        assert len(counted) == 20
        time.sleep(max(0, held + 20 - time.monotonic()))
    wait_until_ready(gateway)
    assert gateway.vote(poll, 0, "ada").status_code in (200, 201)
    assert gateway.results(other)["total"] == 20
    assert gateway.audit(poll)["consistent"] is gateway.audit(other)["consistent"] is True


def test_the_end_that_comes_while_a_batch_waits_refuses_it(database, start_gateway):
    gateway = start_gateway(store=database)
    poll = gateway.create_poll()
    answers = []
    with database.server.connect(database.name) as connection, connection.transaction():
        connection.execute(
            "SELECT 1 FROM pollstream.tallies WHERE poll_id = %s FOR UPDATE", [poll.id]
        )
        voter = threading.Thread(target=lambda: answers.append(gateway.vote(poll, 0, "ada")))
        voter.start()
        time.sleep(0.4)
        # In time when it was sent; when the row is free, no more.
        connection.execute(
            "UPDATE pollstream.tallies SET closes_at = pollstream.unix_ms() WHERE poll_id = %s",
            [poll.id],
        )
    voter.join()
    refused(answers[0], 409, "poll_closed")
    assert gateway.results(poll)["total"] == 0 == gateway.stored_ballots()


@pytest.mark.parametrize("early", [0.02, 0.0, -0.02])
def test_an_end_that_is_extended_while_it_comes_is_extended_or_is_not(
    database, start_gateway, early
):
    gateway = start_gateway(store=database)
    for _ in range(5):
        poll = gateway.create_poll()
        end = database.execute("SELECT pollstream.unix_ms() + 150")[0][0]
        database.execute(
            f"UPDATE pollstream.tallies SET closes_at = {end} WHERE poll_id = {poll.id}"
        )
        while database.execute("SELECT pollstream.unix_ms()")[0][0] < end - early * 1000:
            pass
        answer = gateway.call(
            "PATCH", poll.path, token=poll.host_key, json={"end_time": "2100-01-01T00:00:00Z"}
        )
        assert answer.status_code in (200, 409), answer.text
        time.sleep(0.4)
        counted = gateway.vote(poll, 0, "ada").status_code == 201
        assert counted == (answer.status_code == 200)
        state = gateway.poll(poll)["state"]
        assert state == ("open" if counted else "closed") or not counted

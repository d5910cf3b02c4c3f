"""The database server stops, crashes or freezes, and comes back."""

import os
import signal
import threading
import time
from functools import partial

import pytest

from answers import refused
from follower import Follower
from live import Viewer
from postgres import server_fixture
from test_postgres_faults import COMMIT_LIMIT, HEALS_WITHIN, wait_until_ready
from voting import Receipts, join, names_until, start_voters

pytestmark = [pytest.mark.postgres, pytest.mark.takes(110)]

# A server of the test's own, as durable as servers are.
server = server_fixture("function")


def kill_session(server):
    """As the kernel does where memory is short: the server ends all sessions, and recovers."""
    ours = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pollstream' AND {}"
    for query in ("query LIKE '%COPY%' OR query LIKE '%merge%'", "true"):
        if sessions := server.execute(ours.format(f"({query})")):
            os.kill(sessions[0][0], signal.SIGKILL)
            return
    raise AssertionError("the gateway has no session")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGQUIT, signal.SIGINT, "session"], ids=str)
def test_no_answered_ballot_is_lost_or_doubled_by_restarts(server, start_gateway, how):
    gateway = start_gateway(store=server.create_database())
    poll = gateway.create_poll(["a", "b", "c"])
    stop, receipts = threading.Event(), Receipts()
    voters = start_voters(gateway, poll, receipts, partial(names_until, stop))
    follower = Follower(gateway, poll)
    for _ in range(10 if how == signal.SIGKILL else 3):
        receipts.wait_for(len(receipts.outcomes) + 150)
        if how == "session":
            kill_session(server)
        else:
            server.stop(how)
            time.sleep(0.3)
            server.start()
        wait_until_ready(gateway)
    receipts.wait_for(len(receipts.outcomes) + 150)
    stop.set()
    join(voters)
    assert set(receipts.outcomes.values()) <= {"counted", "repeated"}
    follower.wait_for_total(len(receipts.outcomes))
    follower.stop()
    assert follower.connections == 1, "viewers stay connected"
    results = gateway.results(poll)
    assert results["total"] == len(receipts.outcomes) == gateway.stored_ballots()
    assert gateway.audit(poll)["consistent"] is True


def test_a_database_that_is_away_at_the_start_is_waited_for(server, start_gateway):
    database = server.create_database()
    server.stop()
    gateway = start_gateway(store=database)
    assert gateway.ops("GET", "/livez").status_code == 200
    assert gateway.ops("GET", "/readyz").status_code == 503
    refused(gateway.post("/votes/", json={"poll_id": 1, "option_id": 1, "voter": "ada"}), 503)
    refused(gateway.get("/polls/"), 503, "storage_unavailable")
    server.start()
    wait_until_ready(gateway)
    gateway.cast(gateway.create_poll(), 0, "ada")


def test_viewers_stay_and_votes_are_told_while_the_server_is_stopped(server, start_gateway):
    gateway = start_gateway(store=server.create_database())
    poll = gateway.create_poll()
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        server.stop(signal.SIGQUIT)
        began = time.monotonic()
        answer = gateway.vote(poll, 0, "ada")
        assert answer.status_code in (503, 504), answer.text
        assert time.monotonic() - began < 2 * COMMIT_LIMIT
        assert gateway.ops("GET", "/readyz").status_code == 503
        assert viewer.ask(type="ping")["type"] == "pong"
        server.start()
        wait_until_ready(gateway)
        assert gateway.vote(poll, 0, "ada").status_code in (200, 201)
        viewer.until("tally", total=1)
    assert gateway.stored_ballots() == 1


@pytest.mark.timeout(150)
def test_a_server_frozen_for_half_a_minute(server, start_gateway):
    gateway = start_gateway(store=server.create_database())
    poll = gateway.create_poll()
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        with server.frozen(), gateway.alive():
            began = time.monotonic()
            for name in ("ada", "bob"):
                asked = time.monotonic()
                assert gateway.vote(poll, 0, name).status_code in (503, 504)
                assert time.monotonic() - asked < 2 * COMMIT_LIMIT
                assert viewer.ask(type="ping")["type"] == "pong"
            assert gateway.ops("GET", "/readyz").status_code == 503
            time.sleep(max(0, began + 30 - time.monotonic()))
        wait_until_ready(gateway)
        assert gateway.vote(poll, 0, "ada").status_code in (200, 201)
        viewer.until("tally")
    deadline = time.monotonic() + HEALS_WITHIN
    while gateway.results(poll)["total"] != gateway.stored_ballots():
        assert time.monotonic() < deadline
    assert gateway.audit(poll)["consistent"] is True

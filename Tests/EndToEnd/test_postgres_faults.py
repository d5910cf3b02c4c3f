"""What the database, and the way to it, can do to one gateway. Bounds in seconds are the product's
own, doubled where a busy machine may need it."""

import os
import signal
import threading
import time
from functools import partial

import pytest

import prometheus
from answers import refused, rows
from fault_proxy import FaultProxy, copies, ends_copy, merges
from follower import Follower
from gateway import limits
from live import Viewer
from postgres import server_fixture
from test_invariants import check_books
from voting import (
    Receipts,
    ballots_for,
    cast_over_websocket,
    in_threads,
    join,
    names_until,
    start_voters,
)

pytestmark = pytest.mark.postgres

COMMIT_LIMIT = 5
HEALS_WITHIN = 2 * 5


# A server of the test's own, as durable as servers are.
server = server_fixture("function")
# A server that its tests leave running.
steady = server_fixture()


@pytest.fixture
def proxy(steady):
    proxy = FaultProxy(("127.0.0.1", steady.port))
    yield proxy
    proxy.close()


@pytest.fixture
def database(steady):
    return steady.create_database()


def through(database, proxy):
    """The database as seen through the proxy."""
    database.uri = database.server.uri(database.name, proxy.port)
    return database


def wait_until_ready(gateway, seconds: float = HEALS_WITHIN):
    began = time.monotonic()
    while gateway.ops("GET", "/readyz").status_code != 200:
        assert time.monotonic() - began < seconds, gateway.log_text()
        time.sleep(0.05)
    return time.monotonic() - began


def vote_until_counted(gateway, poll, name: str, seconds: float = 30):
    deadline = time.monotonic() + seconds
    while gateway.vote(poll, 0, name).status_code not in (200, 201):
        assert time.monotonic() < deadline, gateway.log_text()


def vote_at_once(gateway, poll, names, sockets: int = 8) -> Receipts:
    """Casts all ballots as fast as they go, so that they commit in large batches."""
    receipts = Receipts()
    names = list(names)
    join(
        in_threads(
            *(
                (cast_over_websocket, gateway, poll, ballots_for(poll, names[part::sockets]),
                 receipts, 256)
                for part in range(sockets)
            )
        )
    )  # fmt: skip
    return receipts


def kill_session(server):
    """As the kernel does where memory is short: the server ends all sessions, and recovers."""
    ours = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pollstream' AND {}"
    for query in ("query LIKE '%COPY%' OR query LIKE '%merge%'", "true"):
        if sessions := server.execute(ours.format(f"({query})")):
            os.kill(sessions[0][0], signal.SIGKILL)
            return
    raise AssertionError("the gateway has no session")


# The server goes and comes back


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


# The way to the server


@pytest.mark.parametrize("moment", [copies, ends_copy, merges])
@pytest.mark.parametrize("deed", ["reset", "swallow"])
def test_a_ballot_sent_again_after_a_broken_connection_counts_once(
    database, proxy, start_gateway, moment, deed
):
    plain = start_gateway(store=database)
    poll = plain.create_poll()
    broken = start_gateway(store=through(database, proxy))
    broken.get(poll.path)
    proxy.once(moment, deed)
    # Few enough to be merged, or many enough to be copied.
    count = 20 if moment is merges else 600
    names = [f"voter {number}" for number in range(count)]
    receipts = vote_at_once(broken, poll, names)
    assert proxy.happened.is_set()
    assert set(receipts.outcomes.values()) <= {"counted", "repeated"}
    # Whoever was left without an answer goes to another gateway.
    again = vote_at_once(plain, poll, names)
    assert set(again.outcomes.values()) == {"repeated"} or set(again.outcomes.values()) == {
        "counted"
    }, again.outcomes
    assert plain.results(poll)["total"] == count == plain.stored_ballots()
    assert plain.audit(poll)["consistent"] is True


@pytest.mark.parametrize(
    "garbage",
    [b"\xff" * 5_000, b"D\x7f\xff\xff\xff" + bytes(100), b"Z\0\0\0\4", b"HTTP/1.1 400 Bad\r\n\r\n",
     b"C\0\0\0\4" * 50, b""],
    ids=["noise", "endless", "short", "http", "again and again", "nothing"],
)  # fmt: skip
def test_garbage_for_an_answer_costs_the_connection(  # I18
    database, proxy, start_gateway, garbage
):
    """The ballot is stored, whatever was heard of it."""
    gateway = start_gateway(store=through(database, proxy))
    poll = gateway.create_poll()
    gateway.cast(poll, 0, "first")
    proxy.garbage = garbage
    proxy.once(merges, "garble")
    with gateway.alive():
        answer = gateway.vote(poll, 0, "ada")
    assert proxy.happened.is_set()
    assert answer.status_code in (201, 504), answer.text
    vote_until_counted(gateway, poll, "ada")
    assert gateway.results(poll)["total"] == 2 == gateway.stored_ballots()
    assert gateway.audit(poll)["consistent"] is True


def test_a_ballot_that_was_given_up_does_not_replace_a_later_one(database, proxy, start_gateway):
    """It hangs in the network until its voter has been told that nobody knows, and has voted anew
    through another gateway."""
    plain = start_gateway(store=database)
    poll = plain.create_poll(change_vote=True)
    slow = start_gateway(*limits(commit_timeout="2s"), store=through(database, proxy))
    vote_until_counted(slow, poll, "bob")
    proxy.once(merges, "hold")
    refused(slow.vote(poll, 0, "ada"), 504, "commit_unknown")
    assert proxy.happened.is_set()
    plain.cast(poll, 1, "ada")
    proxy.release.set()
    assert proxy.passed.wait(30)
    # Behind it, where its connection has not been given up meanwhile.
    vote_until_counted(slow, poll, "cyd")
    stored = {row["voter"]: int(row["option_ids"]) for row in rows(plain.ballots_csv(poll))}
    first, second = poll.options
    assert stored == {"ada": second, "bob": first, "cyd": first}
    assert plain.audit(poll)["consistent"] is True


def test_a_backend_terminated_in_the_middle_of_a_copy(database, proxy, start_gateway):
    gateway = start_gateway(store=through(database, proxy))
    poll = gateway.create_poll()
    proxy.once(ends_copy, "hold")
    receipts = Receipts()
    names = [f"voter {number}" for number in range(600)]
    voters = in_threads(
        *(
            (cast_over_websocket, gateway, poll, ballots_for(poll, names[part::4]), receipts, 256)
            for part in range(4)
        )
    )
    assert proxy.happened.wait(10)
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND query LIKE '%COPY%' AND pid <> pg_backend_pid()"
    )
    proxy.release.set()
    join(voters)
    check_books(gateway, poll, receipts)
    assert len(receipts.having("counted")) == 600


@pytest.mark.timeout(120)
def test_a_black_hole_costs_the_commit_limit_and_one_attempt_a_second(
    database, proxy, start_gateway
):
    gateway = start_gateway(store=through(database, proxy))
    poll = gateway.create_poll()
    gateway.cast(poll, 0, "first")
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        proxy.black_hole.set()
        before, began = len(proxy.connected), time.monotonic()
        with gateway.alive():
            answer = gateway.vote(poll, 0, "ada")
            assert answer.status_code in (503, 504), answer.text
            assert time.monotonic() - began < 2 * COMMIT_LIMIT
            time.sleep(7)
        attempts = len(proxy.connected) - before
        assert attempts <= time.monotonic() - began + 1, "at most one a second"
        assert viewer.ask(type="ping")["type"] == "pong"
        proxy.black_hole.clear()
        wait_until_ready(gateway)
        assert gateway.vote(poll, 0, "ada").status_code in (200, 201)
    assert gateway.results(poll)["total"] == 2 == gateway.stored_ballots()


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


def test_a_slow_way_to_the_server_makes_batches_and_times_nobody_out(  # I09
    database, proxy, start_gateway
):
    gateway = start_gateway(store=through(database, proxy))
    poll = gateway.create_poll()
    proxy.delays = (0.1, 0.3)
    with gateway.alive():
        receipts = vote_at_once(gateway, poll, (f"voter {number}" for number in range(1_000)))
    proxy.delays = None
    assert set(receipts.outcomes.values()) == {"counted"}
    check_books(gateway, poll, receipts)
    samples = prometheus.parse(gateway.ops("GET", "/metrics").text)
    ballots = samples["pollstream_ledger_batch_ballots_sum"]
    assert ballots / samples["pollstream_ledger_batch_ballots_count"] > 10, "they go in batches"


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

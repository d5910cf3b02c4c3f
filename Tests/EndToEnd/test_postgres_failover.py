"""A server whose commits wait for a standby: when it fails, and when the standby does."""

import contextlib
import signal
import threading
import time

import pytest

from answers import refused
from gateway import eventually, meanwhile
from postgres import Server
from rabbitmq import Broker
from test_invariants import check_books
from test_postgres_faults import COMMIT_LIMIT, wait_until_ready
from voting import Receipts, join, names_until, start_voters

pytestmark = [pytest.mark.postgres, pytest.mark.takes(90)]

ANOTHER = {"title": "Which way?", "options": ["left", "right"]}


@pytest.fixture
def pair():
    """The primary and its standby."""
    primary = Server()
    standby = None
    try:
        standby = Server(primary)
        wait_for_standby(primary)
        yield primary, standby
    finally:
        for server in (standby, primary):
            if server is not None:
                server.remove()


def wait_for_standby(primary):
    """Returns once each commit waits for the standby, and gets its word."""
    primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.execute("SELECT pg_reload_conf()")
    waits = "SELECT sync_state FROM pg_stat_replication"
    eventually(lambda: primary.execute(waits) == [("sync",)])


def sessions(server) -> int:
    """Of gateways, on a server."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pollstream'"
    return server.execute(query)[0][0]


@contextlib.contextmanager
def cancelling(server):
    """Has each commit stop waiting for the standby, a tenth of a second after it began."""
    cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    with server.connect() as connection, meanwhile(lambda: connection.execute(cancel), every=0.1):
        yield


def told_to_try_again(answer):
    if answer.status_code == 503:
        refused(answer, 503, "storage_unavailable", "overloaded")
    else:
        refused(answer, 504, "commit_unknown")


@pytest.fixture
def database(pair):
    """A database that is found on whichever of the two can be written to."""
    primary, standby = pair
    database = primary.create_database()
    database.uri = (
        f"postgres://test@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/{database.name}"
        "?target_session_attrs=read-write"
    )
    return database


@pytest.mark.timeout(180)
def test_a_failover_loses_no_answered_ballot(pair, database, start_gateway):  # I13
    primary, standby = pair
    gateways = [start_gateway(store=database) for _ in range(2)]
    poll = gateways[0].create_poll(["a", "b", "c"])
    stop, receipts = threading.Event(), Receipts()
    voters = [
        voter
        for number, gateway in enumerate(gateways)
        for voter in start_voters(
            gateway, poll, receipts, lambda prefix, n=number: names_until(stop, f"{n} {prefix}")
        )
    ]
    receipts.wait_for(400)
    primary.stop(signal.SIGKILL)
    standby.promote()
    database.server = standby
    for gateway in gateways:
        wait_until_ready(gateway)
    receipts.wait_for(len(receipts.outcomes) + 400)
    stop.set()
    join(voters)
    assert set(receipts.outcomes.values()) == {"counted"}
    for gateway in gateways:
        # Without Redis what the other gateway stored is seen within a second.
        eventually(lambda g=gateway: g.results(poll)["total"] == len(receipts.outcomes))
        check_books(gateway, poll, receipts)


@pytest.mark.timeout(180)
def test_a_standby_that_is_away_is_waited_for_by_few(pair, database, start_gateway):
    """No ballot is confirmed, however often it is tried, and attempts do not fill the server."""
    primary, standby = pair
    gateway = start_gateway(store=database)
    poll, other = gateway.create_poll(), gateway.create_poll()
    gateway.cast(poll, 0, "first")
    standby.stop()
    before, names = sessions(primary), ("ada", "bob")
    for one in (poll, other):
        for name in names:
            asked = time.monotonic()
            told_to_try_again(gateway.vote(one, 0, name))
            assert time.monotonic() - asked < 2 * COMMIT_LIMIT
    for _ in range(6):
        told_to_try_again(gateway.post("/polls/", json=ANOTHER))
    assert gateway.ops("GET", "/readyz").status_code == 503
    # A ballot's, a probe's and a poll's commit, and what they lock.
    assert sessions(primary) <= before + 4
    standby.start()
    wait_until_ready(gateway)
    for name in names:
        assert gateway.vote(poll, 0, name).status_code in (200, 201)
    assert gateway.results(poll)["total"] == 1 + len(names)
    assert gateway.audit(poll)["consistent"] is gateway.audit(other)["consistent"] is True


@pytest.mark.timeout(120)
def test_the_publisher_of_events_waits_for_the_standby_once(pair, database, start_gateway):
    """Its turn is renewed every second, by nobody's request."""
    primary, standby = pair
    broker = Broker()
    try:
        gateway = start_gateway("--events", broker.url, store=database)
        gateway.cast(gateway.create_poll(), 0, "ada")
        eventually(lambda: "pollstream_events_publishing 1" in gateway.ops("GET", "/metrics").text)
        before = sessions(primary)
        standby.stop()
        time.sleep(30)
        assert sessions(primary) <= before + 2
        standby.start()
        gateway.cast(gateway.create_poll(), 0, "ada")
    finally:
        broker.remove()


@pytest.mark.timeout(120)
def test_a_commit_that_stopped_waiting_for_the_standby_is_not_confirmed(
    pair, database, start_gateway
):
    """Who cancels what waits makes the server report a commit, with a warning that nobody else has
    the ballot; who sends it again finds its row there, and is not told that it counts either."""
    primary, standby = pair
    gateway = start_gateway(store=database)
    poll = gateway.create_poll()
    gateway.cast(poll, 0, "first")
    standby.stop()
    with cancelling(primary):
        for name in ("ada", "ada", "bob"):
            told_to_try_again(gateway.vote(poll, 0, name))
        told_to_try_again(gateway.post("/polls/", json=ANOTHER))
    assert gateway.stored_ballots() > 1, "stored, and on one server alone"
    assert gateway.ops("GET", "/readyz").status_code == 503
    gateway.wait_for_line("stopped waiting for its standby")
    standby.start()
    wait_until_ready(gateway)
    for name in ("ada", "bob"):
        assert gateway.vote(poll, 0, name).status_code in (200, 201)
    assert gateway.results(poll)["total"] == 3 == gateway.stored_ballots()
    assert gateway.audit(poll)["consistent"] is True

"""What the way to the database can do to one gateway. Bounds in seconds are the product's own,
doubled where a busy machine may need it."""

import time

import pytest

import prometheus
from answers import refused, rows
from fault_proxy import FaultProxy, copies, ends_copy, merges
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
)

pytestmark = [pytest.mark.postgres, pytest.mark.takes(50)]

COMMIT_LIMIT = 5
HEALS_WITHIN = 2 * 5


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

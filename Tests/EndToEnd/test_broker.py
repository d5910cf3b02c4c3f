"""Other services hear of every counted ballot and every change through a broker: once in quiet
times, at least once whatever becomes of the broker or of gateways, each poll's in the order of its
commits, and no voter ever waits for it."""

import re
import signal
import threading
import time
from functools import partial

import pytest

import faults
import prometheus
from door import Door
from postgres import server_fixture
from rabbitmq import Broker, Service
from test_postgres_faults import vote_at_once
from voting import Receipts, join, names_until, start_voters

pytestmark = pytest.mark.takes(60)

# The lease of a gateway that died, the longest pause between attempts, and a machine that is busy.
COMES_WITHIN = 60
ANSWERED_WITHIN = 5


@pytest.fixture(scope="module")
def broker():
    broker = Broker()
    yield broker
    broker.remove()


# A PostgreSQL server for databases that several gateways share.
server = server_fixture(fsync="off", max_connections="200")


@pytest.fixture
def service(broker):
    """What a service with a queue hears."""
    service = Service(broker, "test")
    yield service
    service.close()


@pytest.fixture
def door(broker):
    door = Door(broker.port)
    yield door
    door.shut()


def metric(gateway, name: str) -> int:
    return int(prometheus.parse(gateway.ops("GET", "/metrics").text)[f"pollstream_events_{name}"])


def wait_for(condition, seconds: float = COMES_WITHIN):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def check_order(service, poll, choices: dict[str, set[int]]):
    """Of what was told, each word once where it first came: per voter what the database holds in
    the end, and nothing after the close."""
    held: dict[str, set[int]] = {}
    seen: set[str] = set()
    closed = False
    for message, message_id in zip(service.received, service.ids, strict=True):
        if message["poll_id"] != poll.id or message_id in seen:
            continue
        seen.add(message_id)
        closed = closed or message["type"] == "poll_closed"
        if message["type"] == "vote_notification":
            assert not closed
            options = held.setdefault(message["voter_name"], set())
            (options.add if message["delta"] > 0 else options.remove)(message["option_id"])
    assert held == choices


# In quiet times


def test_every_counted_ballot_and_every_change_is_told_once(broker, service, start_gateway):
    gateway = start_gateway("--events", broker.url)
    poll = gateway.create_poll(["Tea", "Coffee"], title="Tea or coffee?")
    gateway.cast(poll, 1, "Ada")
    assert gateway.vote(poll, 1, "Ada").status_code == 200
    assert gateway.vote(poll, 0, "Ada").status_code == 409
    hidden = gateway.create_poll(
        ["a", "b", "c"], kind="multiple", results="after_close", change_vote=True,
        starts_at="2099-01-01T00:00:00Z",
    )  # fmt: skip
    gateway.open(hidden)
    gateway.cast(hidden, [0, 2], "Bob")
    assert gateway.vote(hidden, [1, 2], "Bob").status_code == 200
    assert gateway.call(
        "PATCH", hidden.path, token=hidden.host_key, json={"title": "Letters"}
    ).status_code == 200  # fmt: skip
    gateway.close(hidden)
    assert gateway.call("DELETE", hidden.path, token=hidden.host_key).status_code == 204
    service.take(lambda: len(service.received) >= 11)
    service.take_quiet()

    told = [m for m in service.received if m["poll_id"] == poll.id]
    assert [m["type"] for m in told] == ["poll_created", "vote_notification"]
    vote = told[1]
    assert list(vote) == ["type", "voter_name", "poll_id", "poll_text", "option_id", "option_text",
                          "delta", "ballot_id", "cast_at", "results"]  # fmt: skip
    assert (vote["voter_name"], vote["poll_text"], vote["delta"]) == ("Ada", "Tea or coffee?", 1)
    assert (vote["option_id"], vote["option_text"]) == (poll.options[1], "Coffee")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", vote["cast_at"])

    told = [m for m in service.received if m["poll_id"] == hidden.id]
    assert [(m["type"], m.get("delta"), m.get("option_text")) for m in told] == [
        ("poll_created", None, None), ("poll_opened", None, None),
        ("vote_notification", 1, "a"), ("vote_notification", 1, "c"),
        ("vote_notification", -1, "a"), ("vote_notification", 1, "b"),
        ("poll_changed", None, None), ("poll_closed", None, None), ("poll_deleted", None, None),
    ]  # fmt: skip
    assert {m["results"] for m in told} == {"after_close"}
    assert [m["state"] for m in told if "state" in m] == [
        "scheduled", "open", "open", "closed", "deleted",
    ]  # fmt: skip
    assert told[2]["ballot_id"] == told[3]["ballot_id"] != told[4]["ballot_id"]
    closed = told[-2]
    assert closed["poll_text"] == "Letters" and closed["total_votes"] == 1
    assert [option["vote_count"] for option in closed["options"]] == [0, 1, 1]
    assert [option["id"] for option in closed["options"]] == hidden.options
    assert service.counts(hidden) == [0, 1, 1]

    assert len(set(service.ids)) == len(service.ids)
    for properties in service.properties:
        assert properties.delivery_mode == 2
        assert properties.content_type == "application/json"
        assert properties.app_id == "pollstream"
    wait_for(lambda: metric(gateway, "backlog") == 0)
    assert metric(gateway, "published_total") == metric(gateway, "confirmed_total") == 11
    assert metric(gateway, "connected") == metric(gateway, "publishing") == 1


def test_a_consumer_of_the_original_gets_votes_and_nothing_else(broker, start_gateway):
    consumer = Service(broker, "poll_vote_updates", "poll.vote_update")
    gateway = start_gateway("--events", broker.url)
    poll = gateway.create_poll(["a", "b"])
    gateway.cast(poll, 0, "Ada")
    gateway.close(poll)
    other = gateway.create_poll(["a", "b"])
    gateway.cast(other, 1, "Bob")
    consumer.take(lambda: len(consumer.received) >= 2)
    # Its code: `poll_id`, `option_id`, `delta` (1) and `voter_name`.
    members = ("poll_id", "option_id", "delta", "voter_name")
    assert [tuple(message[name] for name in members) for message in consumer.received] == [
        (poll.id, poll.options[0], 1, "Ada"),
        (other.id, other.options[1], 1, "Bob"),
    ]
    consumer.close()


def test_thousands_come_once_each(broker, service, start_gateway):
    gateway = start_gateway("--events", broker.url)
    poll = gateway.create_poll(["a", "b", "c"])
    names = [f"voter {number}" for number in range(3_000)]
    receipts = vote_at_once(gateway, poll, names)
    service.take(lambda: len(service.votes) >= len(names))
    service.take_quiet()
    assert len(service.ids) == len(set(service.ids)) == len(names) + 1
    assert service.counts(poll) == receipts.counts(poll)
    check_order(service, poll, {ballot.voter: {ballot.option_id} for ballot in receipts.outcomes})


def test_what_was_counted_is_told_before_the_gateway_is_gone(broker, service, start_gateway):
    gateway = start_gateway("--events", broker.url)
    poll = gateway.create_poll(["a", "b"])
    wait_for(lambda: metric(gateway, "publishing") == 1)
    gateway.cast(poll, 0, "Ada")
    gateway.stop()
    service.take(lambda: len(service.received) >= 2, 5)


# The broker goes and comes back


@pytest.mark.timeout(300)
def test_a_broker_that_is_killed_under_votes_loses_none_and_delays_nobody(
    broker, service, start_gateway
):
    gateway = start_gateway("--events", broker.url)
    poll = gateway.create_poll(["a", "b", "c"])
    gateway.cast(poll, 0, "first")
    service.take(lambda: len(service.votes) == 1)
    stop, receipts = threading.Event(), Receipts()
    voters = start_voters(gateway, poll, receipts, partial(names_until, stop))
    try:
        receipts.wait_for(100)
        broker.stop()
        wait_for(lambda: metric(gateway, "connected") == 0)
        began = time.monotonic()
        receipts.wait_for(len(receipts.outcomes) + 300)
        assert time.monotonic() - began < 30
        assert gateway.ops("GET", "/readyz").status_code == 200
    finally:
        stop.set()
        join(voters)
    wait_for(lambda: metric(gateway, "backlog") > 0)
    broker.start()
    assert set(receipts.outcomes.values()) == {"counted"}
    gateway.close(poll)
    service.take(lambda: any(m["type"] == "poll_closed" for m in service.received))
    wait_for(lambda: metric(gateway, "backlog") == 0)
    service.take_quiet()
    expected = {ballot.voter: {ballot.option_id} for ballot in receipts.outcomes}
    check_order(service, poll, {"first": {poll.options[0]}} | expected)
    gateway.wait_for_line("publishing events recovered")
    log = gateway.log_text()
    assert log.count("publishing events lost") == 1 == log.count("publishing events recovered")


def test_a_broker_that_answers_nothing_delays_nobody(broker, service, start_gateway):
    gateway = start_gateway("--events", broker.url)
    poll = gateway.create_poll(["a", "b"])
    service.take(lambda: len(service.received) == 1)
    with faults.stopped(broker):
        for number in range(20):
            began = time.monotonic()
            gateway.cast(poll, 0, f"voter {number}")
            assert time.monotonic() - began < ANSWERED_WITHIN
        assert gateway.ops("GET", "/readyz").status_code == 200
    service.take(lambda: len(set(service.ids)) == 21)


def test_a_broker_away_at_the_start_is_waited_for(door, service, start_gateway):
    url = f"amqp://polls:sec%2Fret%40word@127.0.0.1:{door.port}"
    gateway = start_gateway("--events", url)
    assert gateway.ops("GET", "/readyz").status_code == 200
    poll = gateway.create_poll(["a", "b"])
    gateway.cast(poll, 1, "Ada")
    wait_for(lambda: metric(gateway, "backlog") == 2 and metric(gateway, "failures_total") > 1)
    assert metric(gateway, "connected") == metric(gateway, "published_total") == 0
    gateway.wait_for_line("publishing events lost")
    assert gateway.log_text().count("publishing events lost") == 1
    door.open()
    service.take(lambda: len(service.received) == 2)
    assert service.ids == list(dict.fromkeys(service.ids))
    # Thrown out and let in again.
    door.shut()
    gateway.cast(poll, 0, "Bob")
    wait_for(lambda: metric(gateway, "connected") == 0)
    door.open()
    service.take(lambda: len(set(service.ids)) == 3)
    assert service.counts(poll) == [1, 1]


@pytest.mark.timeout(300)
def test_a_connection_that_breaks_again_and_again_loses_nothing(door, service, start_gateway):
    door.open()
    gateway = start_gateway("--events", f"amqp://polls:sec%2Fret%40word@127.0.0.1:{door.port}")
    poll = gateway.create_poll(["a", "b"], change_vote=True)
    held = {}
    for round in range(6):
        names = [f"voter {number}" for number in range(150)]
        threading.Timer(0.05 * round, lambda: (door.shut(), door.open())).start()
        for number, name in enumerate(names):
            choice = (round + number) % 2
            answer = gateway.vote(poll, choice, name)
            assert answer.status_code in (200, 201)
            held[name] = {poll.options[choice]}
    gateway.close(poll)
    service.take(lambda: any(m["type"] == "poll_closed" for m in service.received))
    check_order(service, poll, held)
    counted = gateway.results(poll)["counts"]
    assert service.counts(poll) == counted


# Gateways come and go


@pytest.mark.timeout(300)
def test_a_gateway_killed_in_the_middle_of_it_has_lost_nothing(door, service, start_gateway):
    url = f"amqp://polls:sec%2Fret%40word@127.0.0.1:{door.port}"
    gateway = start_gateway("--events", url)
    poll = gateway.create_poll(["a", "b", "c"])
    receipts = vote_at_once(gateway, poll, [f"voter {number}" for number in range(6_000)])
    door.pause = 0.005
    door.open()
    service.take(lambda: len(service.received) > 100)
    gateway.kill()
    door.pause = 0
    service.take_quiet()
    assert len(service.received) < 6_000, "some of it was out, and not all"
    gateway.start()
    service.take(lambda: len(set(service.ids)) == 6_001)
    assert service.counts(poll) == receipts.counts(poll)
    wait_for(lambda: metric(gateway, "backlog") == 0)


@pytest.fixture
def two_gateways(server, broker, start_gateway):
    """On one database; the first is the one that publishes."""
    database = server.create_database()
    pair = [start_gateway("--events", broker.url, store=database) for _ in range(2)]
    wait_for(lambda: sum(metric(gateway, "publishing") for gateway in pair) == 1)
    return sorted(pair, key=lambda gateway: -metric(gateway, "publishing"))


@pytest.mark.postgres
def test_of_two_gateways_one_tells_and_nothing_twice(service, two_gateways):
    poll = two_gateways[0].create_poll(["a", "b", "c"], change_vote=True)
    for round in range(3):
        for number in range(60):
            gateway = two_gateways[number % 2]
            answer = gateway.vote(poll, (number + round) % 3, f"voter {number}")
            assert answer.status_code == (200 if round else 201)
    two_gateways[1].close(poll)
    service.take(lambda: any(m["type"] == "poll_closed" for m in service.received))
    service.take_quiet()
    assert len(service.ids) == len(set(service.ids)) == 1 + 60 + 2 * 120 + 1
    held = {f"voter {number}": {poll.options[(number + 2) % 3]} for number in range(60)}
    check_order(service, poll, held)
    assert [metric(gateway, "publishing") for gateway in two_gateways] == [1, 0]
    assert metric(two_gateways[1], "published_total") == 0


@pytest.mark.postgres
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM], ids=str)
def test_when_the_one_that_tells_is_gone_another_does(service, two_gateways, how):
    gone, other = two_gateways
    poll = other.create_poll(["a", "b"])
    service.take(lambda: len(service.received) == 1)
    # Nothing is left that could be told twice.
    database = other.store
    left = "SELECT count(*) FROM pollstream.events"
    wait_for(lambda: database.server.execute(left, database.name) == [(0,)])
    if how == signal.SIGTERM:
        gone.stop()
    elif how == signal.SIGKILL:
        gone.kill()
    else:
        gone.process.send_signal(how)
    other.cast(poll, 0, "Ada")
    service.take(lambda: len(service.votes) == 1)
    assert metric(other, "publishing") == 1
    if how == signal.SIGSTOP:
        gone.process.send_signal(signal.SIGCONT)
        wait_for(lambda: metric(gone, "publishing") == 0)
    other.cast(poll, 1, "Bob")
    service.take(lambda: len(set(service.ids)) == 3)
    service.take_quiet()
    assert service.counts(poll) == [1, 1]
    assert service.ids == list(dict.fromkeys(service.ids))


@pytest.mark.postgres
def test_a_database_that_gives_nobody_the_turn_shows_and_stops_no_vote(service, two_gateways):
    first, second = two_gateways
    poll = first.create_poll(["a", "b"])
    service.take(lambda: len(service.received) == 1)
    database = first.store
    with database.server.connect(database.name) as connection, connection.transaction():
        connection.execute("LOCK TABLE pollstream.events_publisher IN ACCESS EXCLUSIVE MODE")
        for gateway in two_gateways:
            wait_for(lambda gateway=gateway: metric(gateway, "storage_up") == 0)
            gateway.wait_for_line("storage of events lost")
        first.cast(poll, 0, "Ada")
        second.cast(poll, 1, "Bob")
    # Who has the turn and who has not.
    for gateway in two_gateways:
        wait_for(lambda gateway=gateway: metric(gateway, "storage_up") == 1)
        assert metric(gateway, "storage_losses_total") >= 1
    service.take(lambda: len(set(service.ids)) == 3)
    assert service.counts(poll) == [1, 1]


@pytest.mark.postgres
def test_who_has_no_broker_commits_for_those_who_have(server, broker, service, start_gateway):
    database = server.create_database()
    teller = start_gateway("--events", broker.url, store=database)
    silent = start_gateway("--services", "polls,votes", store=database)
    silent.wait_for_line("events are kept")
    poll = silent.create_poll(["a", "b"])
    silent.cast(poll, 0, "Ada")
    service.take(lambda: len(service.received) == 2)
    assert metric(teller, "confirmed_total") == 2
    assert "pollstream_events" not in silent.ops("GET", "/metrics").text


@pytest.mark.postgres
@pytest.mark.timeout(300)
def test_a_database_that_is_restarted_tells_everything_all_the_same(
    server, broker, service, start_gateway
):
    gateway = start_gateway("--events", broker.url, store=server.create_database())
    poll = gateway.create_poll(["a", "b", "c"])
    stop, receipts = threading.Event(), Receipts()
    voters = start_voters(gateway, poll, receipts, partial(names_until, stop))
    try:
        receipts.wait_for(100)
        server.stop(signal.SIGQUIT)
        server.start()
        receipts.wait_for(len(receipts.outcomes) + 100)
    finally:
        stop.set()
        join(voters)
    service.take(lambda: len({m["ballot_id"] for m in service.votes}) >= len(receipts.outcomes))
    assert service.counts(poll) == gateway.results(poll)["counts"] == receipts.counts(poll)

"""A Redis that is far away, that gives up on whoever reads too late, and that many gateways come
back to: BAD_INPUT J07, J08 and J17."""

import threading
import time

import pytest

import test_relay
from follower import Follower
from gateway import eventually
from live import Viewer
from redis import LateProxy
from test_relay import everybody_agrees, metric, wait_until_joined
from voting import Receipts, join, names_until, start_voters

pytestmark = [pytest.mark.postgres, pytest.mark.takes(25)]

# Fixtures.
server, database, start_with = test_relay.server, test_relay.database, test_relay.start_with


@pytest.fixture
def late(redis):
    """Half a second each way."""
    proxy = LateProxy(redis, 0.5)
    yield proxy
    proxy.close()


@pytest.mark.timeout(120)
def test_tallies_that_come_late_lead_nobody_backwards(redis, late, start_with):  # J08
    gateways = [start_with(redis.url), start_with(late.url), start_with(late.url)]
    wait_until_joined(*gateways)
    connects = [metric(gateway, "connects_total") for gateway in gateways]
    poll = gateways[0].create_poll(["a", "b", "c"])
    followers = [Follower(gateway, poll) for gateway in gateways]
    stop, receipts = threading.Event(), Receipts()
    voters = [
        thread
        for number, gateway in enumerate(gateways[:2])
        for thread in start_voters(
            gateway, poll, receipts, lambda name, n=number: names_until(stop, f"{n} {name}"), each=1
        )
    ]
    with Viewer(gateways[2], f"/ws/polls/{poll.id}/") as viewer:
        time.sleep(2)
        stop.set()
        join(voters)
        assert set(receipts.outcomes.values()) == {"counted"}
        total = len(receipts.outcomes)
        closed = gateways[0].close(poll)
        state = viewer.until("state", state="closed")
        assert state["revision"] == closed["revision"]
        # What is still under way comes behind all that, which the database has told already.
        time.sleep(1.5)
        viewer.said_by_now()
        seen = [each for each in viewer.messages if each["type"] in ("tally", "state")]
        assert seen[-1] == state and seen[-2]["total"] == total
        assert [each["revision"] for each in seen] == sorted(each["revision"] for each in seen)
    everybody_agrees(gateways, poll, followers, total)
    assert all(follower.connections == 1 for follower in followers), "nobody lost a socket"
    assert all(metric(gateway, "received_total") > 0 for gateway in gateways)
    assert [metric(gateway, "connects_total") for gateway in gateways] == connects, "given up"


def subscribers(redis) -> set[str]:
    """The ids of those whom Redis sends messages to."""
    clients = redis.ask("CLIENT", "LIST", "TYPE", "pubsub").splitlines()
    return {line.split()[0] for line in clients}


def test_who_reads_too_late_for_redis_is_cut_off_and_comes_back(redis, start_with):  # J07
    redis.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 262144 0 0")
    proxy = LateProxy(redis)
    here, there = start_with(redis.url), start_with(proxy.url)
    wait_until_joined(here, there)
    poll = here.create_poll(["a", "b", "c"])
    followers = [Follower(gateway, poll) for gateway in (here, there)]
    eventually(lambda: any(f":poll:{poll.id}" in name for name in redis.channels()))
    channel = next(name for name in redis.channels() if f":poll:{poll.id}" in name)
    before = subscribers(redis)
    with proxy.unread():
        for _ in range(200):
            redis.ask("PUBLISH", channel, "x" * 100_000)
            if before - subscribers(redis):
                break
        assert len(before - subscribers(redis)) == 1, "of the two the one that does not read"
        for number in range(50):
            here.cast(poll, number % 3, f"voter {number}")
    wait_until_joined(here, there)
    for number in range(50, 60):
        here.cast(poll, number % 3, f"voter {number}")
    everybody_agrees([here, there], poll, followers, 60)
    assert all(follower.connections == 1 for follower in followers), "nobody lost a socket"
    proxy.close()


MANY = 8


@pytest.mark.timeout(120)
def test_many_gateways_do_not_come_back_to_redis_in_step(redis, start_with):  # J17
    proxy = LateProxy(redis)
    gateways = [start_with(proxy.url, "--loops", "1") for _ in range(MANY)]
    wait_until_joined(*gateways)
    poll = gateways[0].create_poll()
    followers = [Follower(gateway, poll) for gateway in gateways]
    eventually(lambda: all(follower.connections == 1 for follower in followers))
    before = len(proxy.connected)
    redis.stop()
    for number, gateway in enumerate(gateways):
        gateway.cast(poll, 0, f"meanwhile {number}")
    time.sleep(1.5)
    away = len(proxy.connected)
    # Each has two connections; a fixed delay of 100 ms alone would make it 15 attempts of each.
    assert 2 * MANY <= away - before < 2 * MANY * 10
    redis.start()
    wait_until_joined(*gateways)
    came = proxy.connected[away:]
    assert len(came) >= 2 * MANY and max(came) - min(came) > 0.2
    for number, gateway in enumerate(gateways):
        gateway.cast(poll, 1, f"afterwards {number}")
    everybody_agrees(gateways, poll, followers, 2 * MANY)
    assert all(follower.connections == 1 for follower in followers), "nobody lost a socket"
    proxy.close()

"""The relay over a Redis Cluster of three masters: a channel is of the node that has its slot."""

import time

import pytest

from live import Viewer
from postgres import server_fixture
from redis import RedisCluster
from test_relay import metric, wait_for, wait_until_joined

pytestmark = pytest.mark.postgres

POLLS = 24


server = server_fixture(fsync="off")


@pytest.fixture
def cluster():
    cluster = RedisCluster()
    yield cluster
    cluster.remove()


@pytest.fixture
def gateways(cluster, server, start_gateway):
    database = server.create_database()
    started = [start_gateway("--redis", cluster.url, store=database) for _ in range(2)]
    wait_until_joined(*started)
    return started


def channel_of(cluster, poll) -> str:
    return next(
        name for names in cluster.shard_channels() for name in names
        if name.endswith(f":poll:{poll.id}")
    )  # fmt: skip


def heard_within(viewer, poll, total, seconds=10):
    return viewer.until("tally", seconds, poll_id=poll.id, total=total)


def test_polls_are_spread_over_the_nodes(cluster, gateways):
    here, there = gateways
    polls = [here.create_poll() for _ in range(POLLS)]
    with Viewer(there) as viewer:
        viewer.subscribe(*(poll.id for poll in polls))
        wait_for(lambda: sum(map(len, cluster.shard_channels())) >= POLLS + 3)
        spread = cluster.shard_channels()
        for number, names in enumerate(spread):
            assert any(":poll:" in name for name in names), "no node is left out"
            assert all(cluster.node_of(name) == number for name in names)
        assert metric(there, "nodes") == 3
        # What each node of a plain Redis would hear, only the channel's own does here.
        assert all(node.ask("PUBSUB", "CHANNELS") == "" for node in cluster.nodes)
        received = metric(there, "received_total")
        for poll in polls:
            here.cast(poll, 0, "ada")
        totals = {poll.id: 0 for poll in polls}
        while not all(totals.values()):
            tally = viewer.until("tally")
            totals[tally["poll_id"]] = tally["total"]
        assert metric(there, "received_total") >= received + POLLS
        assert metric(here, "refused_total") == 0
        viewer.send(type="unsubscribe", poll_ids=[poll.id for poll in polls])
        wait_for(lambda: not any(":poll:" in n for ns in cluster.shard_channels() for n in ns))


def test_a_slot_that_goes_to_another_node(cluster, gateways):
    here, there = gateways
    poll = here.create_poll()
    with Viewer(there, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        wait_for(lambda: any(":poll:" in n for ns in cluster.shard_channels() for n in ns))
        channel = channel_of(cluster, poll)
        old = cluster.node_of(channel)
        new = (old + 1) % 3
        here.cast(poll, 0, "ada")
        heard_within(viewer, poll, 1)
        cluster.move(channel, new)
        here.cast(poll, 0, "bob")
        heard_within(viewer, poll, 2)
        wait_for(lambda: channel in cluster.shard_channels()[new])
        wait_until_joined(here, there)
        received = metric(there, "received_total")
        deadline = time.monotonic() + 10
        total = 2
        # By Redis again, not by the comparison with the database alone.
        while metric(there, "received_total") == received:
            assert time.monotonic() < deadline
            total += 1
            here.cast(poll, 0, f"voter {total}")
            heard_within(viewer, poll, total)


def test_a_node_that_goes_and_comes_back(cluster, gateways):
    here, there = gateways
    polls = [here.create_poll() for _ in range(POLLS)]
    with Viewer(there) as viewer:
        viewer.subscribe(*(poll.id for poll in polls))
        # The one that the gateways were told of: they know the others by now.
        cluster.nodes[0].stop()
        for poll in polls:
            here.cast(poll, 0, "ada")
        for _ in range(len(polls)):
            viewer.until("tally", total=1)
        cluster.nodes[0].start()
        cluster.wait_until_whole()
        wait_until_joined(here, there)
        for poll in polls:
            here.cast(poll, 0, "bob")
        for _ in range(len(polls)):
            viewer.until("tally", total=2)

"""Gateways on one database tell one another over Redis what they have committed. Whatever becomes
of Redis, votes count, totals never fall, and everybody ends with what the database holds."""

import json
import re
import signal
import threading
import time
from functools import partial

import pytest

import faults
from follower import Follower
from live import Viewer, check_hides_counts
from postgres import server_fixture
from redis import SpoilingProxy
from test_identity import new_identity
from test_postgres_faults import vote_at_once
from voting import Receipts, join, names_until, start_voters

pytestmark = [pytest.mark.postgres, pytest.mark.takes(70)]

CONVERGES_WITHIN = 2 * 2  # twice what is promised: machines under test are busy
HEALS_WITHIN = 10
SILENCE_SECONDS = 3  # without a word of its own a gateway connects anew


server = server_fixture(fsync="off", max_connections="300")


@pytest.fixture
def database(server):
    return server.create_database()


@pytest.fixture
def start_with(start_gateway, database):
    """A gateway on the test's database and the Redis at `url`."""
    return lambda url, *arguments: start_gateway("--redis", url, *arguments, store=database)


def metric(gateway, name: str) -> int:
    found = re.search(rf"^pollstream_relay_{name} (\d+)", gateway.ops("GET", "/metrics").text, re.M)
    assert found, name
    return int(found[1])


def wait_for(condition, seconds: float = HEALS_WITHIN):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_joined(gateway) -> bool:
    return metric(gateway, "publishing") == metric(gateway, "subscribed") == 1


def wait_until_joined(*gateways):
    for gateway in gateways:
        wait_for(partial(is_joined, gateway))


# What it is for


def test_the_feed_of_all_votes_is_of_all_gateways(redis, start_with):
    here, there = start_with(redis.url), start_with(redis.url, "--feed", "anonymous")
    wait_until_joined(here, there)
    poll = here.create_poll(["Yes", "No"])
    with Viewer(here, "/ws/global/") as one, Viewer(there, "/ws/global/") as other:
        here.cast(poll, 1, "Ada")
        for viewer, name in ((one, "Ada"), (other, "Anonymous")):
            notice = viewer.receive()
            assert (notice["voter_name"], notice["option_text"]) == (name, "No")
        there.cast(poll, 0, "Bob")
        assert [viewer.receive()["option_text"] for viewer in (one, other)] == ["Yes", "Yes"]


def test_who_votes_through_one_gateway_sees_the_counts_on_another(redis, start_with):
    here, there = start_with(redis.url), start_with(redis.url)
    wait_until_joined(here, there)
    poll = here.create_poll(["Yes", "No"], results="after_vote")
    _, voter = new_identity(here, poll)
    with (
        Viewer(there, f"/ws/polls/{poll.id}/", token=voter) as own,
        Viewer(there, f"/ws/polls/{poll.id}/") as stranger,
    ):
        for viewer in (own, stranger):
            assert viewer.until("snapshot")["poll"]["total_votes"] is None
        # Both have asked whether they have voted by the time of this answer.
        own.said_by_now()
        assert here.vote(poll, 1, token=voter).status_code == 201
        assert own.until("snapshot")["poll"]["total_votes"] == 1
        here.cast(poll, 0, "bob")
        assert own.until("tally", total=2)["counts"] == [1, 1]
        check_hides_counts(json.dumps(stranger.said_by_now()))


def test_what_one_gateway_commits_is_told_by_the_others(redis, start_with):
    here, there = start_with(redis.url), start_with(redis.url)
    wait_until_joined(here, there)
    poll, doomed = there.create_poll(), there.create_poll()
    with Viewer(here) as viewer:
        viewer.subscribe(poll.id, doomed.id)
        wait_for(lambda: sum(":poll:" in name for name in redis.channels()) == 2)
        for number in range(20):
            there.cast(poll, number % 2, f"voter {number}")
            # The database alone is asked once a second: then most of these would be missing.
            viewer.until("tally", poll_id=poll.id, total=number + 1)
        there.call("PATCH", poll.path, token=poll.host_key, json={"title": "Renamed"})
        assert viewer.until("snapshot")["poll"]["title"] == "Renamed"
        there.close(poll)
        assert viewer.until("state", poll_id=poll.id, state="closed")
        there.call("DELETE", doomed.path, token=doomed.host_key)
        viewer.until("state", poll_id=doomed.id)
    assert metric(here, "received_total") >= 20 and metric(here, "ignored_total") == 0
    assert metric(there, "echoes_total") > 0
    # Nobody watches any more: the channels go.
    wait_for(lambda: not any(":poll:" in name for name in redis.channels()))


def test_a_gateway_listens_to_what_it_watches_and_no_more(redis, start_with):
    here, there = start_with(redis.url), start_with(redis.url)
    wait_until_joined(here, there)
    polls = [there.create_poll() for _ in range(1_100)]
    with Viewer(here) as viewer:
        for start in range(0, 100, 50):
            viewer.subscribe(*(poll.id for poll in polls[start : start + 50]))
        wait_for(lambda: metric(here, "channels") == 100)
        wait_for(lambda: sum(":poll:" in name for name in redis.channels()) == 100)
        received = metric(here, "received_total")
        there.cast(polls[-1], 0, "unseen")
        there.cast(polls[0], 0, "seen")
        viewer.until("tally", poll_id=polls[0].id, total=1)
    assert metric(here, "received_total") > received
    assert metric(there, "channels") == 0


def test_viewers_are_counted_over_all_gateways(redis, start_with):
    here, there = start_with(redis.url), start_with(redis.url)
    wait_until_joined(here, there)
    poll = here.create_poll()
    with Viewer(here, f"/ws/polls/{poll.id}/") as viewer:
        with Viewer(there, f"/ws/polls/{poll.id}/"), Viewer(there, f"/ws/polls/{poll.id}/"):
            viewer.until("viewers", viewers=3)
        viewer.until("viewers", viewers=1)
        with Viewer(there, f"/ws/polls/{poll.id}/"):
            viewer.until("viewers", viewers=2)
            there.kill()
        # Nobody says that they have gone: their number lapses.
        viewer.until("viewers", 20, viewers=1)


# What it withstands


def everybody_agrees(gateways, poll, followers, total: int):
    """All that follow hold what the database does, soon."""

    def agree():
        return all(follower.total == total for follower in followers)

    deadline = time.monotonic() + CONVERGES_WITHIN
    while not agree():
        assert time.monotonic() < deadline, [follower.total for follower in followers]
        time.sleep(0.02)
    for follower in followers:
        follower.stop()
    for gateway in gateways:
        assert gateway.results(poll)["total"] == total
        assert gateway.audit(poll)["consistent"] is True


def kill(redis):
    redis.stop(signal.SIGKILL)
    time.sleep(0.5)
    redis.start()


def kill_subscribers(redis):
    for _ in range(5):
        assert int(redis.ask("CLIENT", "KILL", "TYPE", "pubsub")) >= 0
        time.sleep(0.2)


def freeze(redis):
    with faults.stopped(redis):
        time.sleep(6)


def pause(redis):
    redis.ask("CLIENT", "PAUSE", 3_000)
    time.sleep(3)


def fill_output_buffers(redis):
    """What a subscriber that reads too late suffers."""
    redis.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1 1 1")
    time.sleep(2)
    redis.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 33554432 8388608 60")


def forbid_publishing(redis):
    redis.ask("ACL", "SETUSER", "default", "-publish")
    time.sleep(1)
    redis.ask("ACL", "SETUSER", "default", "+publish")


def flush(redis):
    redis.ask("FLUSHALL")


FAULTS = [kill, kill_subscribers, freeze, pause, fill_output_buffers, forbid_publishing, flush]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_votes_count_and_totals_never_fall_whatever_becomes_of_redis(redis, start_with, fault):
    gateways = [start_with(redis.url) for _ in range(3)]
    wait_until_joined(*gateways)
    poll = gateways[0].create_poll(["a", "b", "c"])
    followers = [Follower(gateway, poll) for gateway in gateways]
    stop, receipts = threading.Event(), Receipts()
    voters = start_voters(gateways[0], poll, receipts, partial(names_until, stop))
    receipts.wait_for(100)
    fault(redis)
    receipts.wait_for(len(receipts.outcomes) + 100)
    wait_until_joined(*gateways)
    stop.set()
    join(voters)
    assert set(receipts.outcomes.values()) == {"counted"}
    everybody_agrees(gateways, poll, followers, len(receipts.outcomes))
    assert all(follower.connections == 1 for follower in followers), "nobody lost a socket"


@pytest.mark.timeout(120)
def test_what_redis_does_not_let_us_say_keeps_nobody_from_hearing(redis, start_with):  # J12
    here, there = start_with(redis.url), start_with(redis.url)
    wait_until_joined(here, there)
    poll = here.create_poll()
    with Viewer(there, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        redis.ask("ACL", "SETUSER", "default", "-publish")
        here.wait_for_line("publishing to Redis lost", "NOPERM")
        connects = metric(here, "connects_total")
        # Twice as long as it would wait for its own words.
        deadline = time.monotonic() + 2 * SILENCE_SECONDS
        votes = 0
        while time.monotonic() < deadline:
            here.cast(poll, 0, f"voter {votes}")
            votes += 1
            # Read from the database, a second later at most.
            viewer.until("tally", total=votes)
            assert metric(here, "publishing") == 0
            assert metric(here, "subscribed") == metric(there, "subscribed") == 1
        assert metric(here, "refused_total") > 0
        assert metric(here, "connects_total") == connects, "a refusal is no broken connection"
        assert "hearing from Redis lost" not in here.log_text() + there.log_text()
        redis.ask("ACL", "SETUSER", "default", "+publish")
        here.wait_for_line("publishing to Redis recovered")
        here.cast(poll, 1, "afterwards")
        viewer.until("tally", total=votes + 1)
    assert here.log_text().count("publishing to Redis lost") == 1


def test_a_redis_that_answers_nothing_holds_nobody_up_who_stops(redis, start_with):
    gateway = start_with(redis.url, "--drain", "2s")
    wait_until_joined(gateway)
    poll = gateway.create_poll(["a", "b"])
    with faults.stopped(redis):
        assert gateway.vote(poll, 0, "ada").status_code == 201
        began = time.monotonic()
        gateway.terminate()
        assert gateway.wait() == 0
        # The limits of a call to Redis are 2 s each, and several in a row.
        assert time.monotonic() - began < 3.5


@pytest.mark.timeout(120)
def test_messages_may_be_lost_doubled_and_late(redis, start_with):
    proxy = SpoilingProxy(redis)
    gateways = [start_with(redis.url), start_with(proxy.url)]
    wait_until_joined(*gateways)
    poll = gateways[0].create_poll(["a", "b", "c"])
    followers = [Follower(gateway, poll) for gateway in gateways]
    receipts = vote_at_once(gateways[0], poll, [f"voter {n}" for n in range(20_000)])
    assert set(receipts.outcomes.values()) == {"counted"}
    everybody_agrees(gateways, poll, followers, 20_000)
    assert proxy.spoiled > 0
    proxy.close()


def test_a_gateway_starts_without_redis_and_finds_it_later(redis, start_with):
    redis.stop()
    here, there = start_with(redis.url), start_with(redis.url)
    poll = there.create_poll()
    with Viewer(here, f"/ws/polls/{poll.id}/") as viewer:
        there.cast(poll, 0, "ada")
        viewer.until("tally", total=1)
        assert here.ops("GET", "/readyz").status_code == 200
        assert metric(here, "publishing") == metric(here, "subscribed") == 0
        redis.start()
        wait_until_joined(here, there)
        there.cast(poll, 0, "bob")
        viewer.until("tally", total=2)
    assert len([line for line in here.log if "hearing from Redis lost" in line]) == 1
    assert any("hearing from Redis recovered" in line for line in here.log)


def test_what_others_publish_there_is_ignored_and_counted(redis, start_with, start_gateway, server):
    here = start_with(redis.url)
    wait_until_joined(here)
    poll = here.create_poll()
    with Viewer(here, f"/ws/polls/{poll.id}/") as viewer:
        wait_for(lambda: any(":poll:" in name for name in redis.channels()))
        channel = next(name for name in redis.channels() if ":poll:" in name)
        forged = [
            "", "{}", "x" * 5_000, "\x00\xff", "1 tally", f"2 tally 0 {poll.id} 9 9 9 9,9",
            f"1 tally 0123456789abcdef {poll.id} 99999999999999 7 1 7,0 " + "0" * 32,
            f"1 tally 0123456789abcdef {poll.id} 99999999999999 -7 1 -7,0 " + "a" * 32,
        ]  # fmt: skip
        for message in forged:
            redis.ask("PUBLISH", channel, message.replace("\x00", "."))
        wait_for(lambda: metric(here, "ignored_total") == len(forged))
        here.cast(poll, 0, "ada")
        assert viewer.until("tally")["total"] == 1
    # Another installation on the same Redis: channels of its own.
    other = start_gateway("--redis", redis.url, store=server.create_database())
    wait_until_joined(other)
    ignored = metric(here, "ignored_total")
    other.cast(other.create_poll(), 0, "ada")
    assert metric(here, "ignored_total") == ignored
    assert len({name.split(":")[1] for name in redis.channels()}) == 2


def test_a_gateway_stops_in_time_while_redis_is_silent(redis, start_with):
    gateway = start_with(redis.url)
    wait_until_joined(gateway)
    gateway.cast(gateway.create_poll(), 0, "ada")
    with faults.stopped(redis):
        gateway.terminate()
        assert gateway.wait() == 0

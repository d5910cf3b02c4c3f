"""Newest wins: how often a viewer hears of a poll, and never the old after the new."""

import threading
import time

import pytest

from live import Viewer, tallies
from voting import Receipts, ballots_for, cast_over_websocket, in_threads, join, names_until
from wire import Wire, text

pytestmark = pytest.mark.alone

TICK_SECONDS = 0.5


@pytest.fixture(scope="module")
def gateway(start_module_gateway):
    return start_module_gateway("--tick", "500ms")


def test_the_first_change_after_quiet_goes_at_once(start_gateway):
    gateway = start_gateway("--tick", "5s")
    poll = gateway.create_poll()
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        gateway.cast(poll, 0, "ada")
        viewer.until("tally", seconds=3, total=1)


@pytest.mark.once
def test_between_two_tallies_of_a_poll_lies_at_least_the_tick(gateway, poll):
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        stop, receipts = threading.Event(), Receipts()
        ballots = ballots_for(poll, names_until(stop))
        voters = in_threads((cast_over_websocket, gateway, poll, ballots, receipts, 8))
        began = time.monotonic()
        while time.monotonic() - began < 6 * TICK_SECONDS:
            viewer.until("tally")
        lasted = time.monotonic() - began
        stop.set()
        join(voters)
        total = len(receipts.having("counted"))
        seen = tallies(viewer.messages, poll.id)
        assert total > 3 * len(seen), "too few ballots to see conflation"
        assert len(seen) <= lasted / TICK_SECONDS + 2
        if seen[-1]["total"] < total:
            viewer.until("tally", total=total)


def test_the_last_change_always_comes(gateway):
    polls = [gateway.create_poll() for _ in range(5)]
    with Viewer(gateway) as viewer:
        viewer.subscribe(*(poll.id for poll in polls))
        for number in range(7):
            for poll in polls:
                gateway.cast(poll, 0, f"voter {number}")
        for poll in polls:
            if not any(tally["total"] == 7 for tally in tallies(viewer.messages, poll.id)):
                viewer.until("tally", poll_id=poll.id, total=7)


def test_revisions_and_totals_never_fall(gateway, poll):
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        receipts = Receipts()
        ballots = ballots_for(poll, (f"voter {number}" for number in range(500)))
        cast_over_websocket(gateway, poll, ballots, receipts)
        closed = gateway.close(poll)
        viewer.until("state", state="closed")
        revisions = [viewer.messages[0]["poll"]["revision"]] + [
            message["revision"] for message in viewer.messages if "revision" in message
        ]
        totals = [tally["total"] for tally in tallies(viewer.messages, poll.id)]
        assert revisions == sorted(revisions)
        assert revisions[-1] == closed["revision"]
        assert totals == sorted(totals)
        assert totals[-1] == 500


@pytest.mark.once
def test_a_slow_reader_delays_nobody_and_gets_the_newest_when_it_reads(start_gateway):
    gateway = start_gateway("--tick", "5ms")
    polls = [gateway.create_poll([f"option {n}" for n in range(20)]) for _ in range(100)]
    ids = [poll.id for poll in polls]
    rounds = 12
    with Wire(gateway, receive_buffer=4096) as slow, Viewer(gateway) as awake:
        slow.handshake("/ws/")
        slow.send(text({"type": "subscribe", "poll_ids": ids}))
        awake.subscribe(*ids)
        before = gateway.resident_bytes()
        for number in range(rounds):
            for poll in polls:
                gateway.cast(poll, number % 20, f"voter {number}")
            waiting = set(ids) - {
                m["poll_id"]
                for m in awake.messages
                if m["type"] == "tally" and m["total"] == number + 1
            }
            while waiting:
                message = awake.until("tally")
                if message["total"] == number + 1:
                    waiting.discard(message["poll_id"])
        assert gateway.resident_bytes() - before < 32 << 20
        newest: dict[int, int] = {}
        frames = 0
        while len(newest) < len(ids) or min(newest.values()) < rounds:
            message = slow.take_message()
            if message["type"] == "snapshot":
                newest.setdefault(message["poll"]["id"], message["poll"]["total_votes"])
            elif message["type"] == "tally":
                frames += 1
                assert message["total"] >= newest[message["poll_id"]]
                newest[message["poll_id"]] = message["total"]
        assert set(newest.values()) == {rounds}
        assert frames < rounds * len(ids), "every change was kept for a reader that did not read"

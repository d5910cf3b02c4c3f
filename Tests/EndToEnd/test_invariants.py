"""The promises of ARCHITECTURE.md under the worst that a test can do to one gateway."""

import threading
from functools import partial

import pytest

from answers import rows
from follower import Follower
from live import Viewer, tallies
from voting import (
    Ballot,
    Receipts,
    cast_over_http,
    cast_over_websocket,
    in_threads,
    join,
    names_until,
    start_voters,
)

pytestmark = pytest.mark.takes(30)

CRASHES = 20
BALLOTS_BETWEEN_CRASHES = 150


def check_books(gateway, poll, receipts: Receipts):
    """What voters were told, the ballots, the export, the tally and the audit are one number."""
    counted = receipts.having("counted")
    told = {ballot.voter: str(ballot.option_id) for ballot in counted}
    assert len(told) == len(counted), "a voter was told twice that it counts"
    exported = [(row["voter"], row["option_ids"]) for row in rows(gateway.ballots_csv(poll))]
    assert len(exported) == len(dict(exported)), "a voter is in the export twice"
    assert dict(exported) == told
    assert gateway.stored_ballots() == len(told)
    results = gateway.results(poll)
    assert results["counts"] == receipts.counts(poll)
    assert results["total"] == len(told)
    assert gateway.audit(poll)["consistent"] is True


@pytest.mark.timeout(240)
def test_no_answered_ballot_is_lost_or_doubled_by_crashes(start_gateway):
    gateway = start_gateway()
    poll = gateway.create_poll(["a", "b", "c"])
    stop, receipts = threading.Event(), Receipts()
    voters = start_voters(gateway, poll, receipts, partial(names_until, stop), each=3)
    follower = Follower(gateway, poll)
    for _ in range(CRASHES):
        receipts.wait_for(len(receipts.outcomes) + BALLOTS_BETWEEN_CRASHES)
        gateway.kill()
        gateway.start()
    receipts.wait_for(len(receipts.outcomes) + BALLOTS_BETWEEN_CRASHES)
    stop.set()
    join(voters)
    assert set(receipts.outcomes.values()) == {"counted"}
    follower.wait_for_total(len(receipts.outcomes))
    follower.stop()
    assert follower.connections > CRASHES // 2
    check_books(gateway, poll, receipts)


@pytest.mark.sqlite
def test_revisions_do_not_fall_when_an_older_database_is_restored(start_gateway, tmp_path):
    gateway = start_gateway()
    poll = gateway.create_poll()
    gateway.cast(poll, 0, "ada")
    gateway.stop()
    backup = gateway.database.read_bytes()
    gateway.start()
    newest = [gateway.cast(poll, 0, f"voter {number}") for number in range(20)][-1]["revision"]
    gateway.stop()
    gateway.database.write_bytes(backup)
    gateway.start()
    assert gateway.cast(poll, 1, "bob")["revision"] > newest


@pytest.mark.parametrize("transport", ["http", "websocket", "both"])
def test_ten_voters_on_two_connections_at_once_vote_once_each(gateway, poll, transport):
    names = [f"{transport} {number}" for number in range(10)]
    receipts = [Receipts(), Receipts()]
    casts = {
        "http": (cast_over_http, cast_over_http),
        "websocket": (cast_over_websocket, cast_over_websocket),
        "both": (cast_over_http, cast_over_websocket),
    }[transport]
    before = gateway.stored_ballots()
    together = threading.Barrier(2)

    def vote(side: int):
        together.wait(10)
        ballots = [Ballot(name, poll.options[side]) for name in names]
        casts[side](gateway, poll, ballots, receipts[side])

    join(in_threads((vote, 0), (vote, 1)))
    for name in names:
        outcomes = sorted(
            receipts[side].outcomes[Ballot(name, poll.options[side])] for side in (0, 1)
        )
        assert outcomes == ["already_voted", "counted"], name
    assert gateway.stored_ballots() == before + 10
    results = gateway.results(poll)
    assert results["counts"] == [len(each.having("counted")) for each in receipts]
    assert gateway.audit(poll)["consistent"] is True


def test_one_ballot_on_ten_connections_at_once_is_stored_once(gateway, poll):
    before = gateway.stored_ballots()
    together = threading.Barrier(10)
    statuses = []

    def vote():
        together.wait(10)
        statuses.append(gateway.vote(poll, 0, "ada").status_code)

    join(in_threads(*[(vote,)] * 10))
    assert sorted(statuses) == [200] * 9 + [201]
    assert gateway.stored_ballots() == before + 1
    assert gateway.results(poll)["counts"] == [1, 0]


def test_changed_votes_leave_one_ballot_each(gateway):
    poll = gateway.create_poll(["a", "b", "c"], change_vote=True)
    names = [f"voter {number}" for number in range(20)]
    before = gateway.stored_ballots()

    def change_often(side: int):
        for turn in range(6):
            for name in names:
                gateway.vote(poll, (side + turn) % 3, name)

    join(in_threads((change_often, 0), (change_often, 1), (change_often, 2)))
    assert gateway.stored_ballots() == before + len(names)
    results = gateway.results(poll)
    assert results["total"] == sum(results["counts"]) == len(names)
    exported = [int(row["option_ids"]) for row in rows(gateway.ballots_csv(poll))]
    assert results["counts"] == [exported.count(option) for option in poll.options]
    assert gateway.audit(poll)["consistent"] is True


def test_a_poll_closed_during_votes_counts_what_it_stored_and_never_changes(start_gateway):
    gateway = start_gateway()
    poll = gateway.create_poll(["a", "b", "c"])
    stop, receipts = threading.Event(), Receipts()
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        voters = start_voters(gateway, poll, receipts, partial(names_until, stop))
        receipts.wait_for(500)
        closed = gateway.close(poll)
        receipts.wait_for(len(receipts.outcomes) + 200)
        stop.set()
        join(voters)
        viewer.until("state", state="closed")
        viewer.said_by_now()
        seen = tallies(viewer.messages, poll.id)
    assert set(receipts.outcomes.values()) == {"counted", "poll_closed"}
    assert closed["total_votes"] == len(receipts.having("counted"))
    assert seen[-1]["counts"] == receipts.counts(poll)
    state_at = next(i for i, m in enumerate(viewer.messages) if m["type"] == "state")
    assert tallies(viewer.messages[state_at:], poll.id) == []
    check_books(gateway, poll, receipts)
    assert gateway.poll(poll) == closed


def test_a_follower_that_reconnects_never_sees_the_past(start_gateway):
    gateway = start_gateway("--drain", "2s")
    poll = gateway.create_poll()
    follower = Follower(gateway, poll)
    total = 0
    for _ in range(3):
        for _ in range(10):
            gateway.cast(poll, 0, f"voter {total}")
            total += 1
        follower.wait_for_total(total)
        gateway.stop()
        gateway.start()
    follower.stop()
    assert follower.connections >= 3

"""Ballots over WebSocket."""

import pytest

from gateway import in_the_future
from live import Viewer, tallies
from voting import Receipts, ballots_for, cast_over_websocket


def test_a_ballot_is_acknowledged_by_its_ref_after_the_commit(gateway, poll):
    with Viewer(gateway) as viewer:
        ack = viewer.vote(poll, 1, voter="ada", ref="a1")
    assert ack["type"] == "ack"
    assert ack["ref"] == "a1"
    assert ack["status"] == "counted"
    assert ack["poll_id"] == poll.id
    assert ack["option_ids"] == [poll.options[1]]
    assert ack["revision"] == gateway.poll(poll)["revision"]
    assert gateway.vote(poll, 1, "ada").json()["repeated"] is True


def test_a_vote_needs_no_subscription_and_no_ref(gateway, poll):
    with Viewer(gateway) as viewer:
        viewer.send(type="vote", poll_id=poll.id, option_ids=[poll.options[0]], voter="ada")
        ack = viewer.until("ack")
    assert ack["status"] == "counted"
    assert "ref" not in ack


def test_a_repeat_counts_once(gateway, poll):
    with Viewer(gateway) as viewer:
        viewer.vote(poll, 0, voter="ada")
        again = viewer.vote(poll, 0, voter="ada")
        assert (again["status"], again["repeated"]) == ("counted", True)
        error = viewer.vote(poll, 1, voter="ada")
        assert (error["type"], error["code"]) == ("error", "already_voted")
    assert gateway.results(poll)["counts"] == [1, 0]


def test_a_vote_changes_where_the_poll_allows_it(gateway):
    poll = gateway.create_poll(change_vote=True)
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        viewer.vote(poll, 0, voter="ada")
        assert viewer.vote(poll, 1, voter="ada")["status"] == "changed"
        if not any(tally["counts"] == [0, 1] for tally in tallies(viewer.messages, poll.id)):
            viewer.until("tally", counts=[0, 1])
    assert gateway.results(poll)["counts"] == [0, 1]


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda gateway: {"poll_id": 987654321, "option_ids": [1]}, "poll_not_found"),
        (lambda gateway: ballot_of(gateway.create_poll(), option_ids=[987654321]),
         "option_not_found"),
        (lambda gateway: ballot_of(closed(gateway)), "poll_closed"),
        (lambda gateway: ballot_of(gateway.create_poll(starts_at=in_the_future(hours=1))),
         "poll_not_open"),
        (lambda gateway: two_of(gateway.create_poll()), "invalid"),
    ],
    ids=["poll", "option", "closed", "scheduled", "two of one"],
)  # fmt: skip
def test_a_ballot_that_cannot_count_is_refused_and_the_socket_stays(gateway, make, code):
    with Viewer(gateway) as viewer:
        error = viewer.ask(type="vote", voter="ada", **make(gateway))
        assert (error["type"], error["code"]) == ("error", code)
        assert viewer.said_by_now() == []


def ballot_of(poll, **members) -> dict:
    return {"poll_id": poll.id, "option_ids": [poll.options[0]]} | members


def two_of(poll) -> dict:
    return {"poll_id": poll.id, "option_ids": poll.options}


def closed(gateway):
    poll = gateway.create_poll()
    gateway.close(poll)
    return poll


@pytest.mark.parametrize("ref", ["", "x" * 64, "ö🎉", 'quote" and \\'])
def test_a_ref_comes_back_as_it_was(gateway, ref):
    with Viewer(gateway) as viewer:
        assert viewer.ask(type="ping", ref=ref)["ref"] == ref


@pytest.mark.parametrize(
    "ref", [[1], {"a": 1}, True, 1.5, "x" * 1024], ids=lambda ref: repr(ref)[:12]
)
def test_a_ref_that_is_no_short_text_is_refused_and_not_repeated(gateway, ref):  # E19
    with Viewer(gateway) as viewer:
        viewer.send(type="ping", ref=ref)
        error = viewer.receive()
        assert (error["type"], error["code"]) == ("error", "invalid")
        assert "ref" not in error or error["ref"] is None
        assert viewer.said_by_now() == []


def test_ballots_sent_without_waiting_are_each_answered_once(gateway):
    poll = gateway.create_poll(["a", "b", "c"])
    receipts = Receipts()
    ballots = ballots_for(poll, (f"voter {number}" for number in range(2000)))
    cast_over_websocket(gateway, poll, ballots, receipts, window=200)
    assert len(receipts.having("counted")) == 2000
    assert gateway.results(poll)["counts"] == receipts.counts(poll)
    assert gateway.audit(poll)["consistent"] is True


def test_an_acknowledged_ballot_is_in_the_next_read(gateway, poll):
    with Viewer(gateway) as viewer:
        for number in range(20):
            viewer.vote(poll, 0, voter=f"voter {number}")
            assert gateway.results(poll)["total"] == number + 1

"""Live tallies over WebSocket: subscribing, the messages and their order."""

import time

import pytest

from answers import check_error_shape
from gateway import in_the_future
from live import Viewer, tallies
from wire import BINARY, TEXT, Wire, text, upgrade

# The store makes no difference.
pytestmark = pytest.mark.once


def test_a_viewer_of_one_poll_gets_its_snapshot_first(gateway, poll):
    gateway.cast(poll, 1, "ada")
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        first = viewer.receive()
    assert first["type"] == "snapshot"
    assert first["poll"] == gateway.poll(poll)


def test_a_socket_without_a_poll_is_told_nothing(gateway, poll):
    with Viewer(gateway) as viewer:
        gateway.cast(poll, 0, "ada")
        assert viewer.said_by_now() == []


def test_a_ballot_reaches_the_viewer_as_a_whole_tally(gateway, poll):
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        counted = gateway.cast(poll, 1, "ada")
        tally = viewer.until("tally")
    assert set(tally) == {"type", "poll_id", "revision", "total", "counts", "at"}
    assert tally["poll_id"] == poll.id
    assert tally["revision"] == counted["revision"]
    assert (tally["total"], tally["counts"]) == (1, [0, 1])
    assert type(tally["at"]) is int


def test_a_tally_says_when_its_oldest_ballot_came(gateway, poll):
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        before = time.time_ns() // 1_000_000
        gateway.cast(poll, 1, "ada")
        after = time.time_ns() // 1_000_000
        assert before - 50 <= viewer.until("tally")["at"] <= after


def test_one_socket_watches_many_polls_and_stops_watching_some(gateway):
    polls = [gateway.create_poll() for _ in range(3)]
    with Viewer(gateway) as viewer:
        snapshots = viewer.subscribe(*(poll.id for poll in polls))
        assert {s["poll"]["id"] for s in snapshots} == {poll.id for poll in polls}
        viewer.send(type="unsubscribe", poll_ids=[polls[1].id])
        viewer.said_by_now()
        for poll in polls:
            gateway.cast(poll, 0, "ada")
        for poll in (polls[0], polls[2]):
            assert tallies(viewer.messages, poll.id) or viewer.until("tally", poll_id=poll.id)
        viewer.said_by_now()
        assert tallies(viewer.messages, polls[1].id) == []


def test_subscribing_takes_all_polls_or_none_and_names_the_first_bad_one(gateway, poll):
    with Viewer(gateway) as viewer:
        error = viewer.ask(type="subscribe", poll_ids=[poll.id, 987654321, 987654322])
        assert (error["type"], error["code"]) == ("error", "poll_not_found")
        assert error["poll_id"] == 987654321
        gateway.cast(poll, 0, "ada")
        viewer.said_by_now()
        assert [m["type"] for m in viewer.messages] == ["error", "pong"]


def test_subscribing_twice_and_unsubscribing_from_nothing_do_no_harm(gateway, poll):
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        viewer.send(type="subscribe", poll_ids=[poll.id])
        viewer.send(type="unsubscribe", poll_ids=[987654321])
        viewer.said_by_now()
        gateway.cast(poll, 0, "ada")
        viewer.until("tally", total=1)
        viewer.said_by_now()
        assert len(tallies(viewer.messages, poll.id)) == 1
        assert "error" not in {message["type"] for message in viewer.messages}


def test_since_a_revision_that_still_holds_there_is_no_snapshot(gateway, poll):
    revision = gateway.cast(poll, 0, "ada")["revision"]
    with Viewer(gateway, f"/ws/polls/{poll.id}/?since={revision}") as viewer:
        assert "snapshot" not in {message["type"] for message in viewer.said_by_now()}
        gateway.cast(poll, 1, "bob")
        assert viewer.until("tally")["counts"] == [1, 1]


@pytest.mark.parametrize("offset", [-1, 10**13], ids=["older", "from the future"])
def test_since_any_other_revision_there_is_one(gateway, poll, offset):
    revision = gateway.cast(poll, 0, "ada")["revision"]
    with Viewer(gateway, f"/ws/polls/{poll.id}/?since={revision + offset}") as viewer:
        assert viewer.until("snapshot")["poll"]["revision"] == revision


def test_viewers_are_counted_and_their_going_too(gateway, poll):
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as first:
        first.until("viewers", poll_id=poll.id, viewers=1)
        with Viewer(gateway, f"/ws/polls/{poll.id}/") as second:
            second.until("viewers", poll_id=poll.id, viewers=2)
            first.until("viewers", poll_id=poll.id, viewers=2)
        first.until("viewers", poll_id=poll.id, viewers=1)


# State


def test_a_close_brings_the_final_tally_and_then_the_state(gateway, poll):
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        gateway.cast(poll, 0, "ada")
        gateway.cast(poll, 1, "bob")
        closed = gateway.close(poll)
        state = viewer.until("state", poll_id=poll.id, state="closed")
        last = tallies(viewer.messages, poll.id)[-1]
        assert (last["counts"], last["total"]) == ([1, 1], 2)
        assert last["revision"] <= state["revision"] == closed["revision"]
        viewer.said_by_now()
        assert tallies(viewer.messages, poll.id)[-1] is last


def test_the_final_tally_waits_for_no_tick(start_gateway):
    gateway = start_gateway("--tick", "5s")
    poll = gateway.create_poll()
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        gateway.cast(poll, 0, "ada")
        viewer.until("tally", total=1)
        gateway.cast(poll, 0, "bob")
        gateway.close(poll)
        viewer.until("state", seconds=3, state="closed")
        assert tallies(viewer.messages, poll.id)[-1]["total"] == 2


def test_a_viewer_sees_a_scheduled_poll_open(gateway):
    poll = gateway.create_poll(starts_at=in_the_future(seconds=2))
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        assert viewer.until("snapshot")["poll"]["state"] == "scheduled"
        viewer.until("state", poll_id=poll.id, state="open")
        assert viewer.vote(poll, 0, voter="ada")["status"] == "counted"


def test_a_viewer_sees_a_poll_go_and_its_socket_stays(gateway, poll):
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        gateway.call("DELETE", poll.path, token=poll.host_key)
        viewer.until("state", poll_id=poll.id, state="deleted")
        assert viewer.ask(type="subscribe", poll_ids=[poll.id])["code"] == "poll_not_found"


def test_a_changed_poll_gives_its_viewers_a_new_snapshot(gateway, poll):
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        gateway.call(
            "PATCH", poll.path, token=poll.host_key, json={"title": "T", "options": ["x", "y", "z"]}
        )
        again = viewer.until("snapshot")["poll"]
        assert again["title"] == "T"
        assert [option["text"] for option in again["options"]] == ["x", "y", "z"]


def test_a_viewer_of_a_closed_poll_gets_its_final_state_at_once(gateway, poll):
    gateway.cast(poll, 0, "ada")
    gateway.close(poll)
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        snapshot = viewer.until("snapshot")["poll"]
        assert (snapshot["state"], snapshot["total_votes"]) == ("closed", 1)


# Answers


def test_a_ping_gets_a_pong(gateway):
    with Viewer(gateway) as viewer:
        viewer.send(type="ping")
        assert viewer.receive()["type"] == "pong"
        assert viewer.ask(type="ping", ref="p1") == {"type": "pong", "ref": "p1"}


@pytest.mark.parametrize(
    "message",
    [{"type": "shout"}, {"type": "PING"}, {"type": ""}],
    ids=repr,
)
def test_an_unknown_type_is_malformed_and_the_socket_stays(gateway, message):
    with Viewer(gateway) as viewer:
        error = viewer.ask(**message, ref="u1")
        assert (error["type"], error["code"]) == ("error", "malformed_request")
        check_error_shape({"code": error["code"], "message": error["message"]})
        assert viewer.said_by_now() == []


WRONG_MEMBERS = [
    {"type": "subscribe"}, {"type": "subscribe", "poll_ids": 7},
    {"type": "subscribe", "poll_ids": ["7"]}, {"type": "subscribe", "poll_ids": [1.5]},
    {"type": "subscribe", "poll_ids": [1], "host_key": 5}, {"type": "unsubscribe"},
    {"type": "unsubscribe", "poll_ids": {}}, {"type": "vote"}, {"type": "vote", "poll_id": "x"},
    {"type": "vote", "poll_id": 1}, {"type": "vote", "poll_id": 1, "option_ids": []},
    {"type": "vote", "poll_id": 1, "option_ids": [1], "voter": 7},
]  # fmt: skip


@pytest.mark.parametrize("message", WRONG_MEMBERS, ids=repr)
def test_a_missing_or_wrong_member_is_invalid_and_the_socket_stays(gateway, message):
    with Viewer(gateway) as viewer:
        error = viewer.ask(**message)
        assert (error["type"], error["code"]) == ("error", "invalid")
        assert viewer.said_by_now() == []


def test_a_host_key_that_is_not_this_polls_is_refused(gateway, poll):
    other = gateway.create_poll()
    with Viewer(gateway) as viewer:
        error = viewer.ask(type="subscribe", poll_ids=[poll.id], host_key=other.host_key)
        assert error["type"] == "error"
        assert error["code"] in ("forbidden", "unauthorized")


def test_a_message_that_is_not_json_is_malformed_and_the_socket_stays(gateway):
    with Viewer(gateway) as viewer:
        viewer.socket.send("{not json")
        assert viewer.until("error")["code"] == "malformed_json"
        assert viewer.said_by_now() == []


# The connection


def test_the_subprotocol_is_spoken_where_it_is_offered(gateway):
    with Viewer(gateway, subprotocols=["chat", "pollstream.v1"]) as viewer:
        assert viewer.socket.subprotocol == "pollstream.v1"
    with Viewer(gateway) as viewer:
        assert viewer.socket.subprotocol is None


def test_a_socket_of_an_unknown_poll_is_closed_with_4404(gateway):
    with Viewer(gateway, "/ws/polls/987654321/") as viewer:
        assert viewer.close_code() == 4404


def test_a_binary_message_is_closed_with_1003(gateway):
    with Viewer(gateway) as viewer:
        viewer.socket.send(b"\x00\x01")
        assert viewer.close_code() == 1003


def test_a_close_is_answered_with_its_own_code(gateway, poll):
    viewer = Viewer(gateway, f"/ws/polls/{poll.id}/")
    viewer.socket.close(1000, "enough")
    assert viewer.socket.close_code == 1000
    assert viewer.socket.protocol.close_rcvd.code == 1000


def test_the_echo_route_exists_only_where_it_is_asked_for(gateway, start_gateway):
    with Wire(gateway) as wire:
        assert wire.handshake("/ws/echo/").status == 404
    with Wire(start_gateway("--ws-echo")) as wire:
        assert wire.handshake("/ws/echo/").status == 101
        for opcode, payload in ((TEXT, "zoë".encode()), (BINARY, b"\x00\xff"), (TEXT, b"")):
            wire.send_frame(opcode, payload)
            assert wire.take_frame() == (opcode, payload)


def test_messages_in_the_segment_of_the_handshake_are_answered_in_order(gateway, poll):
    ping = text({"type": "ping", "ref": "1"}) + text({"type": "ping", "ref": "2"})
    with Wire(gateway) as wire:
        wire.send(upgrade("/ws/") + ping)
        assert wire.answer().status == 101
        assert [wire.take_message()["ref"] for _ in range(2)] == ["1", "2"]

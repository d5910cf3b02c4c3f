"""Live tallies over Server-Sent Events."""

import pytest

from answers import refused
from events import EventStream
from gateway import limits
from wire import Wire, ballot, get


def test_a_stream_is_an_uncached_event_stream(gateway, poll):
    with EventStream(gateway, poll) as stream:
        assert stream.answer.status_code == 200
        assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
        cache = stream.answer.headers["Cache-Control"]
        assert "no-cache" in cache or "no-store" in cache


def test_a_stream_begins_with_the_snapshot_and_its_revision_as_id(gateway, poll):
    with EventStream(gateway, poll) as stream:
        event = stream.receive()
    read = gateway.poll(poll)
    assert event["event"] == event["data"]["type"] == "snapshot"
    assert event["data"]["poll"] == read
    assert event["id"] == str(read["revision"])


def test_tallies_and_the_final_state_follow(gateway, poll):
    with EventStream(gateway, poll) as stream:
        stream.until("snapshot")
        counted = gateway.cast(poll, 1, "ada")
        tally = stream.until("tally")
        assert tally["data"]["counts"] == [0, 1]
        assert tally["id"] == str(counted["revision"])
        closed = gateway.close(poll)
        state = stream.until("state")
        assert state["data"]["state"] == "closed"
        assert int(state["id"]) == closed["revision"]


def test_a_stream_says_how_many_watch(gateway, poll):
    with EventStream(gateway, poll) as stream:
        assert stream.until("viewers")["data"]["viewers"] == 1


def test_the_last_event_id_saves_the_snapshot_when_nothing_changed(gateway, poll):
    revision = gateway.cast(poll, 0, "ada")["revision"]
    with EventStream(gateway, poll, last_event_id=revision) as stream:
        gateway.cast(poll, 1, "bob")
        events = []
        while not events or events[-1]["event"] != "tally":
            events.append(stream.receive())
        assert "snapshot" not in {event["event"] for event in events}
        assert events[-1]["data"]["counts"] == [1, 1]


@pytest.mark.parametrize("last", ["0", "not a number", "99999999999999999999999", ""])
def test_any_other_last_event_id_gives_the_snapshot(gateway, poll, last):
    gateway.cast(poll, 0, "ada")
    with EventStream(gateway, poll, last_event_id=last) as stream:
        assert stream.until("snapshot")["data"]["poll"]["total_votes"] == 1


def test_every_event_is_whole(gateway, poll):
    gateway.call("PATCH", poll.path, token=poll.host_key, json={"title": "two\nlines\r\nand more"})
    with EventStream(gateway, poll) as stream:
        stream.until("snapshot")
        gateway.cast(poll, 0, "ada")
        stream.until("tally")
        for line in stream.text:
            assert not line or line.split(":")[0] in ("", "event", "id", "data", "retry"), line


def test_a_quiet_stream_is_kept_alive_by_comments(start_gateway):
    gateway = start_gateway(*limits(ping_period="500ms"))
    with EventStream(gateway, gateway.create_poll()) as stream:
        stream.until("snapshot")
        while not stream.line().startswith(":"):
            pass


def test_a_stream_of_a_deleted_poll_says_so(gateway, poll):
    with EventStream(gateway, poll) as stream:
        stream.until("snapshot")
        gateway.call("DELETE", poll.path, token=poll.host_key)
        assert stream.until("state")["data"]["state"] == "deleted"


def test_a_stream_of_an_unknown_poll_is_not_found(gateway):
    refused(gateway.get("/polls/987654321/events/"), 404, "poll_not_found")


def test_a_ballot_behind_a_stream_that_cannot_begin_is_answered(gateway, poll):  # I10
    other = gateway.create_poll()
    with Wire(gateway) as wire:
        wire.send(get(poll.path + "events/") + ballot(other, "ada"))
        # Its board is read first, where no loop has it yet: then the ballot is there already.
        answer = wire.answer()
        assert answer.status in (200, 503)
        if answer.status == 503:
            assert wire.answer().status == 201
        assert gateway.results(other)["total"] == (answer.status == 503)

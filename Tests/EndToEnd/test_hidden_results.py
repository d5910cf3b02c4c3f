"""Hidden results never leave: not in a body, a frame, a revision or an ETag."""

import pytest

from events import EventStream
from live import Viewer, check_hides_counts, tallies
from test_identity import new_identity
from voting import Ballot, Receipts, cast_over_websocket

SECRET = 137  # ballots of one option: a number that stands nowhere else
OTHERS = 3


@pytest.fixture(params=["after_vote", "after_close"])
def hidden(request, gateway):
    """A poll with 137 ballots for "Yes" and 3 for "No", hidden from whoever has no right yet."""
    poll = gateway.create_poll(results=request.param)
    yes, no = poll.options
    ballots = [Ballot(f"name-{n}x", yes if n < SECRET else no) for n in range(SECRET + OTHERS)]
    cast_over_websocket(gateway, poll, ballots, Receipts())
    return poll


def check_hidden(text: str):
    check_hides_counts(text, SECRET, SECRET + OTHERS)


@pytest.mark.parametrize("path", ["", "results/", "results/?format=csv", "list"])
def test_who_may_not_see_gets_null_over_http(gateway, hidden, path):
    answer = gateway.get("/polls/?page_size=100" if path == "list" else hidden.path + path)
    assert answer.status_code == 200
    if path == "list":
        mine = next(p for p in answer.json()["results"] if p["id"] == hidden.id)
        assert mine["total_votes"] is None
        assert {option["vote_count"] for option in mine["options"]} == {None}
    else:
        check_hidden(answer.text)
        check_hidden(answer.headers.get("ETag", ""))


def test_the_host_sees_all(gateway, hidden):
    read = gateway.poll(hidden, token=hidden.host_key)
    assert read["total_votes"] == SECRET + OTHERS
    assert [option["vote_count"] for option in read["options"]] == [SECRET, OTHERS]
    assert gateway.results(hidden, token=hidden.host_key)["counts"] == [SECRET, OTHERS]


def test_revision_and_etag_count_nothing_for_who_may_not_see(gateway, hidden):
    before = gateway.get(hidden.path)
    for number in range(3):
        gateway.cast(hidden, 0, f"late {number}")
    after = gateway.get(hidden.path)
    assert after.json() == before.json()
    assert after.headers["ETag"] == before.headers["ETag"]


def test_a_viewer_who_may_not_see_gets_no_tally(gateway, hidden):
    with Viewer(gateway, f"/ws/polls/{hidden.id}/", compression=None) as outsider:
        with Viewer(gateway) as host:
            (snapshot,) = host.subscribe(hidden.id, host_key=hidden.host_key)
            assert snapshot["poll"]["total_votes"] == SECRET + OTHERS
            for number in range(3):
                gateway.cast(hidden, 1, f"late {number}")
            host.until("tally", counts=[SECRET, OTHERS + 3])
        outsider.said_by_now()
        assert tallies(outsider.messages, hidden.id) == []
        for text in outsider.text:
            check_hides_counts(text, SECRET, *range(SECRET + OTHERS, SECRET + OTHERS + 4))


def test_an_event_stream_of_who_may_not_see_gets_no_tally(gateway, hidden):
    with EventStream(gateway, hidden) as stream, Viewer(gateway) as host:
        assert stream.until("snapshot")["data"]["poll"]["total_votes"] is None
        host.subscribe(hidden.id, host_key=hidden.host_key)
        gateway.cast(hidden, 0, "late")
        host.until("tally")
        gateway.call("PATCH", hidden.path, token=hidden.host_key, json={"title": "Again"})
        stream.until("snapshot")
        assert not any("event: tally" in line for line in stream.text)
        check_hidden("\n".join(stream.text))


def test_the_final_tally_shows_what_was_hidden(gateway, hidden):
    with Viewer(gateway, f"/ws/polls/{hidden.id}/") as viewer:
        viewer.until("snapshot")
        gateway.close(hidden)
        state = viewer.until("state", state="closed")
        (final,) = tallies(viewer.messages, hidden.id)
        assert final["counts"] == [SECRET, OTHERS]
        assert final["revision"] <= state["revision"]
    assert gateway.results(hidden)["counts"] == [SECRET, OTHERS]


def test_an_ack_that_shows_nothing_does_not_count_either(gateway):
    poll = gateway.create_poll(results="after_close")
    first = gateway.cast(poll, 0, "ada")
    second = gateway.cast(poll, 0, "bob")
    assert first["revision"] == second["revision"] == gateway.poll(poll)["revision"]


# After one's own vote


def test_who_voted_sees_the_results_over_http(gateway):
    poll = gateway.create_poll(results="after_vote")
    gateway.cast(poll, 0, "ada")
    cookie, token = new_identity(gateway, poll)
    assert gateway.poll(poll, token=token)["total_votes"] is None
    assert gateway.vote(poll, 1, token=token).status_code == 201
    assert gateway.poll(poll, token=token)["total_votes"] == 2
    by_cookie = gateway.get(poll.path + "results/", headers={"Cookie": cookie}).json()
    assert by_cookie["counts"] == [1, 1]
    _, stranger = new_identity(gateway, poll)
    assert gateway.poll(poll, token=stranger)["total_votes"] is None
    assert gateway.poll(poll)["total_votes"] is None


def test_a_voters_etag_is_not_a_strangers(gateway):
    poll = gateway.create_poll(results="after_vote")
    _, token = new_identity(gateway, poll)
    gateway.vote(poll, 1, token=token)
    stranger = gateway.get(poll.path).headers["ETag"]
    answer = gateway.get(poll.path, token=token, headers={"If-None-Match": stranger})
    assert answer.status_code == 200
    assert answer.json()["total_votes"] == 1


def test_a_viewers_own_vote_shows_it_the_tallies_from_then_on(gateway):
    poll = gateway.create_poll(results="after_vote")
    cookie, _ = new_identity(gateway, poll)
    gateway.cast(poll, 0, "ada")
    with Viewer(gateway, f"/ws/polls/{poll.id}/", cookie=cookie) as viewer:
        assert viewer.until("snapshot")["poll"]["total_votes"] is None
        assert viewer.vote(poll, 1)["status"] == "counted"
        gateway.cast(poll, 0, "bob")
        viewer.until("tally", counts=[2, 1])
    with Viewer(gateway, f"/ws/polls/{poll.id}/", cookie=cookie) as again:
        assert again.until("snapshot")["poll"]["total_votes"] == 3


def test_a_voter_of_an_after_close_poll_still_sees_nothing(gateway):
    poll = gateway.create_poll(results="after_close")
    _, token = new_identity(gateway, poll)
    with Viewer(gateway, f"/ws/polls/{poll.id}/", token=token) as viewer:
        viewer.until("snapshot")
        assert viewer.vote(poll, 1)["status"] == "counted"
        gateway.cast(poll, 0, "bob")
        viewer.said_by_now()
        assert tallies(viewer.messages, poll.id) == []
    assert gateway.poll(poll, token=token)["total_votes"] is None


def test_results_made_live_reach_those_they_were_hidden_from(gateway, hidden):
    with Viewer(gateway, f"/ws/polls/{hidden.id}/") as viewer:
        viewer.until("snapshot")
        gateway.call("PATCH", hidden.path, token=hidden.host_key, json={"results": "live"})
        assert viewer.until("snapshot")["poll"]["total_votes"] == SECRET + OTHERS
        gateway.cast(hidden, 1, "late")
        viewer.until("tally", counts=[SECRET, OTHERS + 1])

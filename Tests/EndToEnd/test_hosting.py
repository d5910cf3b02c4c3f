"""What the host of a poll may do with it: change, open, close, delete."""

import pytest

from answers import TIME, refused
from gateway import in_the_future
from live import Viewer

HOST_CALLS = [
    ("PATCH", ""), ("DELETE", ""), ("POST", "open/"), ("POST", "close/"),
    ("GET", "ballots/"), ("GET", "audit/"),
]  # fmt: skip


def change(gateway, poll, **fields):
    return gateway.call("PATCH", poll.path, token=poll.host_key, json=fields)


@pytest.mark.parametrize(("method", "path"), HOST_CALLS)
def test_only_the_host_key_of_this_poll_opens_the_hosts_calls(gateway, poll, method, path):
    body = {"title": "Hijacked"} if method == "PATCH" else None
    other = gateway.create_poll()
    refused(gateway.call(method, poll.path + path, json=body), 401, "unauthorized")
    refused(
        gateway.call(method, poll.path + path, json=body, token=other.host_key), 403, "forbidden"
    )
    unknown = gateway.call(method, poll.path + path, json=body, token="psh_" + "A" * 43)
    assert unknown.status_code in (401, 403)
    read = gateway.poll(poll)
    assert (read["title"], read["state"]) == (poll.body["title"], "open")


@pytest.mark.parametrize(("method", "path"), HOST_CALLS)
def test_a_call_on_an_unknown_poll_is_not_found(gateway, poll, method, path):
    body = {"title": "Nowhere"} if method == "PATCH" else None
    answer = gateway.call(method, f"/polls/987654321/{path}", json=body, token=poll.host_key)
    refused(answer, 404, "poll_not_found")


def test_the_host_changes_title_description_end_and_results(gateway, poll):
    fields = {
        "title": "Another title",
        "description": "And more words",
        "end_time": in_the_future(hours=3),
        "results": "after_close",
    }
    answer = change(gateway, poll, **fields)
    assert answer.status_code == 200, answer.text
    read = gateway.poll(poll, token=poll.host_key)
    assert {name: read[name] for name in fields} == fields
    assert read["options"] == poll.body["options"]


def test_options_change_before_the_first_ballot(gateway, poll):
    answer = change(gateway, poll, options=["Red", {"text": "Green"}, "Blue"])
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert [option["text"] for option in changed["options"]] == ["Red", "Green", "Blue"]
    assert changed["revision"] > poll.body["revision"]
    vote = {"poll_id": poll.id, "option_id": changed["options"][2]["id"], "voter": "ada"}
    assert gateway.post("/votes/", json=vote).status_code == 201
    assert gateway.results(poll)["counts"] == [0, 0, 1]


def test_options_stay_after_the_first_ballot(gateway, poll):
    gateway.cast(poll, 1, "ada")
    refused(change(gateway, poll, options=["Red", "Green"]), 409, "has_ballots")
    assert change(gateway, poll, title="Words may change").status_code == 200
    assert gateway.results(poll)["counts"] == [0, 1]


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"title": ""}, "title"), ({"title": 5}, "title"), ({"results": "x"}, "results"),
     ({"options": ["a"]}, "options"), ({"end_time": "later"}, "end_time")],
    ids=str,
)  # fmt: skip
def test_a_wrong_change_is_refused_whole(gateway, poll, fields, field):
    error = refused(change(gateway, poll, description="new", **fields), 422, "invalid")
    assert error["field"].startswith(field)
    assert gateway.poll(poll) == {k: v for k, v in poll.body.items() if k != "host_key"}


def test_a_closed_poll_is_not_changed(gateway, poll):
    gateway.close(poll)
    refused(change(gateway, poll, end_time=in_the_future(hours=1)), 409, "poll_closed")


def test_opening_starts_a_scheduled_poll_at_once_and_again_does_nothing(gateway):
    poll = gateway.create_poll(starts_at=in_the_future(hours=1))
    assert poll.body["state"] == "scheduled" and poll.body["is_active"] is False
    first = gateway.open(poll)
    assert first["state"] == "open" and first["is_active"] is True
    assert gateway.open(poll)["revision"] == first["revision"]
    gateway.cast(poll, 0, "ada")


def test_closing_ends_a_poll_and_again_does_nothing(gateway, poll):
    gateway.cast(poll, 0, "ada")
    first = gateway.close(poll)
    assert first["state"] == "closed" and first["is_active"] is False
    assert TIME.match(first["closed_at"])
    assert first["total_votes"] == 1
    assert gateway.close(poll) == first
    assert gateway.poll(poll) == first


def test_a_closed_poll_stays_closed(gateway, poll):
    gateway.close(poll)
    refused(gateway.post(poll.path + "open/", token=poll.host_key), 409, "poll_closed")
    assert gateway.poll(poll)["state"] == "closed"


def test_a_poll_closes_by_itself_at_its_end(gateway):
    poll = gateway.create_poll(end_time=in_the_future(seconds=2))
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        gateway.cast(poll, 0, "ada")
        viewer.until("state", poll_id=poll.id, state="closed")
    refused(gateway.vote(poll, 0, "bob"), 409, "poll_closed")
    closed = gateway.poll(poll)
    assert (closed["state"], closed["total_votes"]) == ("closed", 1)


def test_a_deleted_poll_is_gone_with_all_that_leads_to_it(gateway, poll):
    gateway.cast(poll, 0, "ada")
    answer = gateway.call("DELETE", poll.path, token=poll.host_key)
    assert answer.status_code == 204
    assert answer.content == b""
    for path in ("", "results/", "events/"):
        refused(gateway.get(poll.path + path), 404, "poll_not_found")
    refused(gateway.vote(poll, 0, "bob"), 404, "poll_not_found")
    refused(gateway.call("DELETE", poll.path, token=poll.host_key), 404, "poll_not_found")
    answer = gateway.get(f"/join/{poll.body['join_code']}", headers={"Accept": "application/json"})
    assert answer.status_code == 404

"""What the host of a poll may do with it: change, open, close, delete."""

import threading
import time

import pytest

from answers import TIME, refused
from gateway import Poll, in_the_future
from live import Viewer
from voting import in_threads, join

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


def test_a_ballot_for_an_option_that_was_replaced_is_for_none(gateway, poll):  # F02, F12
    """Its id is nobody's any more, least of all that of the option in its place."""
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        changed = change(gateway, poll, options=["Red", "Green"]).json()
        assert not {option["id"] for option in changed["options"]} & set(poll.options)
        for _ in range(2):
            refused(gateway.vote(poll, 0, "ada"), 404, "option_not_found")
            assert viewer.vote(poll, 1, voter="ada")["code"] == "option_not_found"
        viewer.said_by_now()
        shown = [each["poll"] for each in viewer.messages if each["type"] == "snapshot"][-1]
        assert shown["options"] == changed["options"]
    now = Poll(changed | {"host_key": poll.host_key})
    gateway.cast(now, 1, "ada")
    assert gateway.vote(now, 1, "ada").json()["repeated"] is True
    refused(gateway.vote(now, 0, "ada"), 409, "already_voted")
    refused(gateway.vote(poll, 1, "ada"), 404, "option_not_found")
    refused(change(gateway, poll, options=["a", "b"]), 409, "has_ballots")
    assert gateway.results(poll)["counts"] == [0, 1]


def test_a_ballot_whose_answer_was_lost_is_repeated_behind_a_change(gateway):  # F07, F08, F12
    for allows, again in ((False, "already_voted"), (True, "changed")):
        poll = gateway.create_poll(change_vote=allows)
        gateway.vote(poll, 0, "ada", headers={"Prefer": "respond-async"})
        gateway.cast(poll, 0, "bob")
        refused(change(gateway, poll, options=["Red", "Green"]), 409, "has_ballots")
        assert change(gateway, poll, title="Another title").status_code == 200
        assert gateway.vote(poll, 0, "ada").json()["repeated"] is True
        answer = gateway.vote(poll, 1, "ada").json()
        assert answer.get("status") == again or answer["error"]["code"] == again
        assert gateway.results(poll)["counts"] == ([1, 1] if allows else [2, 0])
        assert gateway.audit(poll)["consistent"] is True


def test_options_that_change_while_ballots_come_are_the_old_or_the_new_ones(gateway):  # F06, F29
    """Whoever is first: the ballots, and then nothing changes, or the change, and none counts."""
    for turn in range(20):
        poll = gateway.create_poll()
        statuses, together = [], threading.Barrier(6)

        def vote(number: int, poll=poll, statuses=statuses, together=together):
            together.wait(10)
            statuses.append(gateway.vote(poll, 0, f"voter {number}").status_code)

        threads = in_threads(*((vote, number) for number in range(5)))
        together.wait(10)
        time.sleep(turn % 5 * 0.001)
        answer = change(gateway, poll, options=["Red", "Green", "Blue"])
        join(threads)
        results = gateway.results(poll)
        if answer.status_code == 200:
            assert statuses == [404] * 5
            assert results["counts"] == [0, 0, 0]
        else:
            refused(answer, 409, "has_ballots")
            assert statuses == [201] * 5
            assert results["counts"] == [5, 0]
        assert gateway.audit(poll)["consistent"] is True


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

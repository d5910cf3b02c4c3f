"""Ballots over HTTP: what is counted, what is repeated, what is refused."""

import time

import pytest

from answers import refused
from gateway import in_the_future


def test_a_ballot_is_counted_and_says_what_and_at_which_revision(gateway, poll):
    answer = gateway.vote(poll, 1, "ada")
    assert answer.status_code == 201
    body = answer.json()
    assert body["status"] == "counted"
    assert body["poll_id"] == poll.id
    assert body["option_ids"] == [poll.options[1]]
    results = gateway.results(poll)
    assert body["revision"] == results["revision"]
    assert results["counts"] == [0, 1]


def test_a_ballot_is_counted_once_per_voter(gateway, poll):
    first = gateway.cast(poll, 0, "ada")
    for _ in range(5):
        answer = gateway.vote(poll, 0, "ada")
        assert answer.status_code == 200
        body = answer.json()
        assert (body["status"], body["repeated"]) == ("counted", True)
        assert body["option_ids"] == first["option_ids"]
    assert gateway.results(poll)["counts"] == [1, 0]
    assert gateway.audit(poll)["consistent"] is True


def test_another_choice_of_the_same_voter_is_refused(gateway, poll):
    gateway.cast(poll, 0, "ada")
    refused(gateway.vote(poll, 1, "ada"), 409, "already_voted")
    assert gateway.results(poll)["counts"] == [1, 0]


def test_the_same_voter_votes_in_two_polls(gateway, poll):
    other = gateway.create_poll()
    gateway.cast(poll, 0, "ada")
    gateway.cast(other, 1, "ada")
    assert gateway.results(other)["counts"] == [0, 1]


def test_names_are_compared_byte_by_byte(gateway, poll):
    for voter in ("ada", "Ada", "ada ", "a\u0308da", "\u00e4da", "ada\u200b"):
        gateway.cast(poll, 0, voter)
    assert gateway.results(poll)["total"] == 6


def test_a_vote_changes_where_the_poll_allows_it(gateway):
    poll = gateway.create_poll(["a", "b", "c"], change_vote=True)
    before = gateway.cast(poll, 0, "ada")["revision"]
    answer = gateway.vote(poll, 2, "ada")
    assert answer.status_code == 200
    assert answer.json()["status"] == "changed"
    assert answer.json()["revision"] > before
    repeated = gateway.vote(poll, 2, "ada").json()
    assert (repeated["status"], repeated["repeated"]) == ("counted", True)
    results = gateway.results(poll)
    assert (results["counts"], results["total"]) == ([0, 0, 1], 1)
    assert gateway.audit(poll)["consistent"] is True


def test_a_multiple_poll_takes_up_to_max_choices_in_any_order(gateway):
    poll = gateway.create_poll(["a", "b", "c", "d"], kind="multiple", max_choices=2)
    first = gateway.vote(poll, [2, 0], "ada")
    assert first.status_code == 201
    assert sorted(first.json()["option_ids"]) == sorted([poll.options[0], poll.options[2]])
    assert gateway.vote(poll, [0, 2], "ada").json()["repeated"] is True
    refused(gateway.vote(poll, [0, 1, 2], "bob"), 422, "invalid", field="option_ids")
    assert gateway.vote(poll, 3, "cyd").status_code == 201
    assert gateway.results(poll)["counts"] == [1, 0, 1, 1]


def test_a_single_poll_takes_one_option_in_a_list_and_no_more(gateway, poll):
    assert gateway.vote(poll, [1], "ada").status_code == 201
    refused(gateway.vote(poll, [0, 1], "bob"), 422, "invalid", field="option_ids")
    assert gateway.results(poll)["counts"] == [0, 1]


def test_a_client_that_does_not_wait_is_told_its_ballot_is_queued(gateway, poll):
    answer = gateway.vote(poll, 0, "ada", headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    assert answer.json()["status"] == "queued"
    # The same ballot, this time awaited: it is behind the first in the ledger.
    assert gateway.vote(poll, 0, "ada").json()["repeated"] is True
    assert gateway.results(poll)["counts"] == [1, 0]


def test_a_form_votes_like_json(gateway, poll):
    form = {"poll_id": poll.id, "option_id": poll.options[1], "voter": "ada + böb & co"}
    assert gateway.post("/votes/", data=form).status_code == 201
    assert gateway.vote(poll, 1, "ada + böb & co").json()["repeated"] is True


def test_a_form_repeats_option_ids_for_several_choices(gateway):
    poll = gateway.create_poll(["a", "b", "c"], kind="multiple")
    form = {"poll_id": poll.id, "option_ids": [poll.options[0], poll.options[2]], "voter": "ada"}
    assert gateway.post("/votes/", data=form).status_code == 201
    assert gateway.results(poll)["counts"] == [1, 0, 1]


# Refused

NOT_AN_INTEGER = [1.5, 1.0, "1", True, None, [], {}]


@pytest.mark.parametrize("value", NOT_AN_INTEGER, ids=repr)
@pytest.mark.parametrize("field", ["poll_id", "option_id"])
def test_an_id_of_another_type_is_refused_and_named(gateway, poll, field, value):
    body = {"poll_id": poll.id, "option_id": poll.options[0], "voter": "ada", field: value}
    refused(gateway.post("/votes/", json=body), 422, "invalid", field=field)


@pytest.mark.parametrize("value", ["1", 5, {}, None, [], ["x"], [1.5], [[1]]], ids=repr)
def test_option_ids_of_another_type_are_refused(gateway, poll, value):
    body = {"poll_id": poll.id, "option_ids": value, "voter": "ada"}
    error = refused(gateway.post("/votes/", json=body), 422, "invalid")
    assert error["field"].startswith("option_id")


def test_the_same_option_twice_is_refused_or_one_mark(gateway):
    poll = gateway.create_poll(["a", "b", "c"], kind="multiple")
    answer = gateway.vote(poll, [1, 1], "ada")
    if answer.status_code == 201:
        assert gateway.results(poll)["counts"] == [0, 1, 0]
    else:
        refused(answer, 422, "invalid", field="option_ids")


@pytest.mark.parametrize("voter", ["", "x" * 201, 5, None, ["ada"], {}], ids=lambda v: repr(v)[:12])
def test_a_voter_that_is_no_name_is_refused(gateway, poll, voter):
    body = {"poll_id": poll.id, "option_id": poll.options[0], "voter": voter}
    answer = gateway.post("/votes/", json=body)
    if voter is None:  # `null` may as well count as a ballot without the member
        assert answer.status_code in (401, 422)
    else:
        refused(answer, 422, "invalid", field="voter")
    assert gateway.results(poll)["total"] == 0


@pytest.mark.parametrize("missing", ["poll_id", "option_id"])
def test_a_ballot_without_a_required_member_is_refused(gateway, poll, missing):
    body = {"poll_id": poll.id, "option_id": poll.options[0], "voter": "ada"}
    del body[missing]
    error = refused(gateway.post("/votes/", json=body), 422, "invalid")
    assert error["field"].startswith(missing)


def test_an_unknown_poll_is_not_found(gateway, poll):
    body = {"poll_id": 987654321, "option_id": poll.options[0], "voter": "ada"}
    refused(gateway.post("/votes/", json=body), 404, "poll_not_found")


@pytest.mark.parametrize("option", [987654321, 2**31, 2**53 + 1, 2**63 - 1])
def test_an_unknown_option_is_not_found(gateway, poll, option):
    body = {"poll_id": poll.id, "option_id": option, "voter": "ada"}
    refused(gateway.post("/votes/", json=body), 404, "option_not_found")


def test_an_option_of_another_poll_is_not_found(gateway, poll):
    other = gateway.create_poll()
    body = {"poll_id": poll.id, "option_id": other.options[0], "voter": "ada"}
    refused(gateway.post("/votes/", json=body), 404, "option_not_found")


def test_a_closed_poll_takes_no_ballot(gateway, poll):
    gateway.close(poll)
    refused(gateway.vote(poll, 0, "ada"), 409, "poll_closed")
    assert gateway.results(poll)["total"] == 0


def test_a_counted_ballot_is_counted_also_where_it_comes_again_after_the_close(gateway, poll):
    gateway.cast(poll, 0, "ada")
    final = gateway.close(poll)
    repeated = gateway.vote(poll, 0, "ada")
    assert repeated.status_code == 200
    assert repeated.json() == {
        "status": "counted", "repeated": True, "poll_id": poll.id, "option_ids": [poll.options[0]],
        "revision": final["revision"],
    }  # fmt: skip
    body = {"poll_id": poll.id, "option_id": poll.options[0], "voter": "ada"}
    prefer = {"Prefer": "respond-async"}
    assert gateway.post("/votes/", json=body, headers=prefer).status_code == 202
    # Another choice, and another voter, come too late.
    refused(gateway.vote(poll, 1, "ada"), 409, "poll_closed")
    refused(gateway.vote(poll, 0, "bob"), 409, "poll_closed")
    refused(gateway.vote(poll, [0, 0], "ada"), 409, "poll_closed")
    assert gateway.poll(poll) == final


def test_a_scheduled_poll_takes_no_ballot_before_it_opens(gateway):
    poll = gateway.create_poll(starts_at=in_the_future(seconds=2))
    refused(gateway.vote(poll, 0, "ada"), 409, "poll_not_open")
    deadline = time.monotonic() + 15
    while gateway.poll(poll)["state"] == "scheduled":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    gateway.cast(poll, 0, "ada")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", '{"poll_id":%d,"option_id":%d,"voter":"ada"}'),
        (None, '{"poll_id":%d,"option_id":%d,"voter":"ada"}'),
        ("application/json; charset=utf-16", '{"poll_id":%d,"option_id":%d,"voter":"ada"}'),
        ("application/xml", "<vote><poll>%d</poll><option>%d</option></vote>"),
        ("multipart/form-data; boundary=b",
         '--b\r\nContent-Disposition: form-data; name="poll_id"\r\n\r\n%d\r\n--b\r\n'
         'Content-Disposition: form-data; name="option_id"\r\n\r\n%d\r\n--b--\r\n'),
    ],
    ids=["text", "none", "utf-16", "xml", "multipart"],
)  # fmt: skip
def test_a_body_of_another_media_type_is_refused(gateway, poll, content_type, body):
    headers = {"Content-Type": content_type} if content_type else {}
    data = (body % (poll.id, poll.options[0])).encode()
    answer = gateway.post("/votes/", data=data, headers=headers)
    refused(answer, 415)
    assert gateway.results(poll)["total"] == 0


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_a_media_type_may_carry_a_charset_and_any_case(gateway, poll, content_type):
    data = f'{{"poll_id":{poll.id},"option_id":{poll.options[0]},"voter":"ada"}}'
    answer = gateway.post("/votes/", data=data, headers={"Content-Type": content_type})
    assert answer.status_code == 201, answer.text

"""Every row of the error table, and what all errors have in common."""

import time

import pytest

from answers import check_error_shape, refused, retry_after
from gateway import limits
from live import Viewer
from wire import Wire, upgrade

ROUTES = {
    "/polls/": {"GET", "POST"},
    "/polls/{id}/": {"GET", "PATCH", "DELETE"},
    "/polls/{id}/open/": {"POST"},
    "/polls/{id}/close/": {"POST"},
    "/polls/{id}/results/": {"GET"},
    "/polls/{id}/ballots/": {"GET"},
    "/polls/{id}/audit/": {"GET"},
    "/polls/{id}/events/": {"GET"},
    "/votes/": {"POST"},
    "/join/{code}": {"GET"},
}


@pytest.mark.parametrize(
    ("method", "route"),
    [
        (method, route)
        for route, methods in ROUTES.items()
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO")
        if method not in methods
    ],
)
def test_a_method_a_route_has_not_is_refused_and_those_it_has_are_named(
    gateway, poll, route, method
):
    path = route.format(id=poll.id, code=poll.body["join_code"])
    answer = gateway.call(method, path, token=poll.host_key)
    refused(answer, 405, "method_not_allowed")
    allowed = {name.strip() for name in answer.headers["Allow"].split(",")}
    assert ROUTES[route] <= allowed
    assert method not in allowed
    assert gateway.poll(poll)["state"] == "open"


@pytest.mark.parametrize(
    "path", ["/nowhere", "/polls/abc/", "/polls/1.5/", "/polls/1/nowhere/", "/polls/*/",
             "/polls/99999999999999999999999/", "/votes/7/", "/join/", "/metrics", "/livez",
             "/drain", "/" + "x" * 4000],
    ids=lambda path: path[:40],
)  # fmt: skip
def test_an_unknown_path_is_not_found(gateway, path):
    refused(gateway.get(path), 404)


def test_a_body_that_is_not_json_is_malformed(gateway):
    answer = gateway.post("/polls/", data="{not json", headers={"Content-Type": "application/json"})
    refused(answer, 400, "malformed_json")


def test_a_request_that_is_not_http_is_malformed(gateway):
    with Wire(gateway) as wire:
        wire.send(b"GET /polls/ HTTP/1.1\r\nHost : x\r\n\r\n")
        answer = wire.answer()
        assert (answer.status, answer.code) == (400, "malformed_request")
        assert answer.fields["connection"].lower() == "close"
        check_error_shape(answer.json()["error"])


def test_a_representation_nobody_has_is_not_acceptable(gateway, poll):
    refused(gateway.get(poll.path + "results/", headers={"Accept": "image/png"}), 406)


def test_the_answer_to_head_is_that_to_get_without_a_body(gateway, poll):
    for path in ("/polls/", poll.path, "/"):
        with Wire(gateway) as wire:
            wire.send(f"HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = wire.answer(to_head=True)
            assert wire.rest() == b""
        if answer.status == 200:
            assert answer.fields["content-type"] == gateway.get(path).headers["Content-Type"]
        else:
            assert answer.status == 405


# Past a rate


@pytest.fixture(scope="module")
def limited(start_module_gateway):
    """A gateway where everything a client may do often has a rate."""
    return start_module_gateway(
        "--rate-polls", "5/min", "--rate-votes", "5/min",
        "--rate-messages", "5/min", "--rate-handshakes", "20/min",
    )  # fmt: skip


def until_refused(attempt, tries=60):
    """The first answer that is a refusal, and how many were none."""
    for count in range(tries):
        answer = attempt(count)
        if answer.status_code >= 400:
            return answer, count
    raise AssertionError(f"nothing refused in {tries} tries")


def test_polls_past_their_rate_are_refused(limited):
    body = {"title": "One more", "options": ["a", "b"]}
    answer, made = until_refused(lambda _: limited.post("/polls/", json=body))
    refused(answer, 429, "rate_limited")
    assert retry_after(answer) >= 1
    assert 1 <= made <= 6
    assert limited.get("/polls/").json()["count"] >= made


def test_ballots_past_their_rate_are_refused_and_not_stored(start_gateway):
    gateway = start_gateway("--rate-votes", "5/min")
    poll = gateway.create_poll()
    answer, counted = until_refused(lambda number: gateway.vote(poll, 0, f"voter {number}"))
    refused(answer, 429, "rate_limited")
    assert retry_after(answer) >= 1
    assert gateway.results(poll)["total"] == counted == gateway.stored_ballots()


def test_messages_past_their_rate_are_refused_and_the_socket_stays(limited):
    with Viewer(limited) as viewer:
        answers = [viewer.ask(type="unsubscribe", poll_ids="x") for _ in range(12)]
        codes = [answer["code"] for answer in answers]
        assert codes[0] == "invalid"
        assert codes[-1] == "rate_limited"


def test_handshakes_past_their_rate_are_refused(limited):
    statuses = []
    for _ in range(40):
        with Wire(limited) as wire:
            wire.send(upgrade("/ws/"))
            statuses.append(wire.answer().status)
    assert 101 in statuses
    assert statuses[-1] == 429


# The storage does not answer


@pytest.fixture
def stalling(start_gateway):
    """A gateway that gives the storage half a second and keeps at most 8 ballots waiting."""
    return start_gateway(*limits(commit_timeout="500ms", waiting_ballots=8))


def test_a_ballot_the_storage_does_not_take_in_time_is_not_said_to_be_counted(stalling):
    poll = stalling.create_poll()
    with stalling.storage_stalled():
        answer = stalling.vote(poll, 0, "ada")
        if answer.status_code == 504:
            refused(answer, 504, "commit_unknown")
        else:
            refused(answer, 503, "storage_unavailable", "overloaded")
            retry_after(answer)
        assert stalling.stored_ballots() == 0
    again = stalling.vote(poll, 0, "ada")
    assert again.status_code in (200, 201), again.text
    assert stalling.results(poll)["counts"] == [1, 0]
    assert stalling.stored_ballots() == 1


def test_a_websocket_ballot_the_storage_does_not_take_gets_an_error(stalling):
    poll = stalling.create_poll()
    with Viewer(stalling) as viewer:
        with stalling.storage_stalled():
            error = viewer.vote(poll, 0, voter="ada")
            assert error["type"] == "error"
            assert error["code"] in ("commit_unknown", "storage_unavailable", "overloaded")
        assert viewer.vote(poll, 0, voter="ada")["status"] == "counted"
    assert stalling.stored_ballots() == 1


def test_ballots_past_the_queue_are_refused_and_those_in_it_are_counted(start_gateway):
    gateway = start_gateway(*limits(commit_timeout="20s", waiting_ballots=8))
    poll = gateway.create_poll()
    prefer = {"Prefer": "respond-async"}
    with gateway.storage_stalled():
        answers = [gateway.vote(poll, 0, f"voter {n}", headers=prefer) for n in range(40)]
        queued = [answer for answer in answers if answer.status_code == 202]
        over = [answer for answer in answers if answer.status_code != 202]
        for answer in over:
            # After some seconds the storage itself is known to be away.
            refused(answer, 503, "overloaded", "storage_unavailable")
            assert retry_after(answer) >= 0
        assert over[0].json()["error"]["code"] == "overloaded"
        with Viewer(gateway) as viewer:
            code = viewer.vote(poll, 0, voter="late")["code"]
            assert code in ("overloaded", "storage_unavailable")
    assert 1 <= len(queued) < len(answers)
    # The queue stays full until the ledger has tried again; then it takes more. A ballot that is
    # awaited is behind all that were queued.
    deadline = time.monotonic() + 10
    while gateway.vote(poll, 0, "last").status_code == 503:
        assert time.monotonic() < deadline
    assert gateway.results(poll)["total"] == len(queued) + 1 == gateway.stored_ballots()

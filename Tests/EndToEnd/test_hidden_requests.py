"""Requests in bodies of requests that need none, and behind a handshake that is refused: a body is
never the next request, and who was refused is heard no more. BAD_INPUT A51, and section C."""

import pytest

import test_bad_http
from wire import Wire, ballot, get, request, text, upgrade

# The store makes no difference.
pytestmark = pytest.mark.once


# Fixtures.
gateway, target = test_bad_http.gateway, test_bad_http.target


# With what each is answered; 503 is for streams and audits that others are pipelined around.
CARRIERS = {
    "GET": ("GET", "/polls/", (200,)),
    "the page": ("GET", "/", (200,)),
    "join": ("GET", "/join/{code}", (200,)),
    "the original list": ("GET", "/api/polls/get-list/", (200,)),
    "results": ("GET", "{poll}results/", (200,)),
    "ballots": ("GET", "{poll}ballots/", (200, 503)),
    "audit": ("GET", "{poll}audit/", (200, 503)),
    "HEAD": ("HEAD", "/polls/", (200,)),
    "HEAD of a poll": ("HEAD", "{poll}", (200,)),
    "HEAD of ballots": ("HEAD", "{poll}ballots/", (200, 503)),
    "HEAD of nothing": ("HEAD", "/nowhere", (404,)),
    "OPTIONS": ("OPTIONS", "/votes/", (204,)),
    "OPTIONS *": ("OPTIONS", "*", (204,)),
    "DELETE": ("DELETE", "{poll}", (204,)),
    "DELETE of nothing": ("DELETE", "/polls/987654321/", (404,)),
    "open": ("POST", "{poll}open/", (200,)),
    "close": ("POST", "{poll}close/", (200,)),
    "PUT": ("PUT", "/votes/", (405,)),
    "TRACE": ("TRACE", "/votes/", (405, 501)),
}


def with_body(head: str, poll, body: bytes, by: str) -> bytes:
    """A request of the host whose body is told by its length, or comes in chunks."""
    if by == "length":
        field = f"Content-Length: {len(body)}"
    else:
        field, body = "Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    return request(f"{head} HTTP/1.1", f"Authorization: Bearer {poll.host_key}", field, body=body)


@pytest.mark.parametrize("by", ["length", "chunks"])
@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_vote_in_a_body_that_nobody_needs_is_not_cast(gateway, target, poll, carrier, by):  # A51
    method, path, statuses = CARRIERS[carrier]
    path = path.format(poll=poll.path, code=poll.body["join_code"])
    inner = ballot(target, f"{carrier} by {by}")
    before = gateway.stored_ballots()
    with Wire(gateway) as wire:
        wire.send(with_body(f"{method} {path}", poll, inner, by))
        wire.send(get("/polls/", "Connection: close"))
        assert wire.answer(to_head=method == "HEAD").status in statuses
        assert wire.answer().status == 200, "what lies behind the body"
        assert wire.rest() == b"", "an answer to what lies within"
    assert gateway.stored_ballots() == before


@pytest.mark.parametrize("by", ["length", "chunks"])
def test_a_vote_in_the_body_of_an_event_stream_is_not_cast(gateway, target, poll, by):  # A51
    before = gateway.stored_ballots()
    with Wire(gateway) as wire:
        wire.send(with_body(f"GET {poll.path}events/", poll, ballot(target, by), by))
        said = wire.read_for(0.5)
        assert said.startswith(b"HTTP/1.1 200 ") and said.count(b"HTTP/1.1 ") == 1
        assert b"event: snapshot" in said
    assert gateway.stored_ballots() == before


def test_a_vote_behind_an_event_stream_is_not_cast(start_gateway):  # A51
    """The stream has no end, so that nothing is behind it."""
    gateway = start_gateway("--loops", "1")
    poll = gateway.create_poll()
    gateway.get(poll.path)  # so that the stream begins at once
    for method in ("GET", "HEAD"):
        with Wire(gateway) as wire:
            wire.send(request(f"{method} {poll.path}events/ HTTP/1.1") + ballot(poll, method))
            said = wire.read_for(0.5)
            assert said.startswith(b"HTTP/1.1 200 ") and said.count(b"HTTP/1.1 ") == 1
    assert gateway.stored_ballots() == 0


# Handshakes that are not the first request of their connection


REFUSED = {
    "C02 no key": ((400,), upgrade("/ws/", key=[])),
    "C03 another version": ((426,), upgrade("/ws/", version="8")),
    "C04 POST": ((400, 405), upgrade("/ws/", method="POST")),
    "C08 another origin": ((403,), upgrade("/ws/", "Origin: https://evil.example")),
    "C12 a body": ((400,), upgrade("/ws/", "Content-Length: 5", body=b"12345")),
    "C21 a token that is forged": ((401,), upgrade("/ws/", "Authorization: Bearer psv_forged")),
    "C22 an unknown path": ((404,), upgrade("/ws/nowhere/")),
}


@pytest.mark.parametrize("together", [True, False], ids=["pipelined", "after the answer"])
@pytest.mark.parametrize("row", REFUSED)
def test_a_refused_handshake_ends_its_connection_whatever_was_asked_before(
    gateway, target, row, together
):
    statuses, handshake = REFUSED[row]
    before = gateway.stored_ballots()
    first, behind = ballot(target, f"before {row} {together}"), ballot(target, f"behind {row}")
    with Wire(gateway) as wire:
        wire.send(get() + first)
        if not together:
            assert [wire.answer().status, wire.answer().status] == [200, 201]
        wire.send(handshake + behind)
        if together:
            assert [wire.answer().status, wire.answer().status] == [200, 201]
        answer = wire.answer()
        assert answer.status in statuses, answer
        assert answer.fields["connection"].lower() == "close"
        assert wire.rest() == b""
    assert gateway.stored_ballots() == before + 1


def test_a_handshake_may_be_the_second_request_of_a_connection(gateway, poll):
    with Wire(gateway) as wire:
        wire.send(get() + ballot(poll, "ada"))
        assert [wire.answer().status, wire.answer().status] == [200, 201]
        assert wire.handshake(f"/ws/polls/{poll.id}/").status == 101
        assert wire.take_message()["poll"]["total_votes"] == 1


def test_a_handshake_around_which_requests_are_pipelined_switches_or_is_refused(gateway, poll):
    vote = text({"type": "vote", "poll_id": poll.id, "option_ids": poll.options[:1], "voter": "b"})
    with Wire(gateway) as wire:
        wire.send(ballot(poll, "ada") + upgrade("/ws/") + vote)
        assert wire.answer().status == 201
        if wire.answer().status == 101:
            assert wire.take_message()["type"] == "ack"
        else:
            assert wire.rest() == b""
            assert gateway.results(poll)["total"] == 1

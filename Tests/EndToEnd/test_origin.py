"""Which pages may ask (CORS) and which may open a WebSocket."""

import pytest

from answers import refused
from test_identity import new_identity
from wire import Wire, text, upgrade

# The store makes no difference.
pytestmark = pytest.mark.once

GOOD = "https://polls.example.com"
FOREIGN = [
    "https://polls.example.com.evil.com", "https://evilpolls.example.com", "http://polls.example.com",
    "https://polls.example.com:8443", "https://polls.example.com/", "null", "https://",
    "https://POLLS.example.com@evil.com",
]  # fmt: skip


@pytest.fixture(scope="module")
def listed(start_module_gateway):
    """A gateway with two allowed origins."""
    return start_module_gateway(
        "--allowed-origin", GOOD, "--allowed-origin", "http://localhost:3000"
    )


def handshake(gateway, *fields: str):
    with Wire(gateway) as wire:
        wire.send(upgrade("/ws/", *fields))
        answer = wire.answer()
        if answer.status != 101:
            assert wire.rest() == b"", "a refused handshake closes its connection"
        return answer


def handshake_of_our_own_page(gateway):
    host, port = gateway.address
    with Wire(gateway) as wire:
        wire.send(upgrade("/ws/", f"Origin: http://{host}:{port}").replace(
            b"Host: gateway", f"Host: {host}:{port}".encode()))  # fmt: skip
        return wire.answer()


@pytest.mark.parametrize("origin", [GOOD, "http://localhost:3000"])
def test_a_listed_page_opens_a_websocket(listed, origin):
    assert handshake(listed, f"Origin: {origin}").status == 101


@pytest.mark.parametrize("origin", FOREIGN)
def test_any_other_page_is_refused(listed, origin):
    answer = handshake(listed, f"Origin: {origin}")
    assert (answer.status, answer.code) == (403, "origin_not_allowed")


@pytest.mark.parametrize("origin", ["https://evil.com", "null"])
def test_no_cookie_opens_a_websocket_for_another_page(listed, origin):  # C08
    poll = listed.create_poll()
    cookie, _ = new_identity(listed, poll)
    vote = text({"type": "vote", "poll_id": poll.id, "option_ids": poll.options[:1]})
    with Wire(listed) as wire:
        wire.send(upgrade("/ws/", f"Cookie: {cookie}", f"Origin: {origin}") + vote)
        answer = wire.answer()
        assert (answer.status, answer.code) == (403, "origin_not_allowed")
        assert "set-cookie" not in answer.fields
        assert wire.rest() == b""
    assert listed.results(poll)["total"] == 0
    with Wire(listed) as wire:  # which is who may vote, where a listed page asks
        wire.send(upgrade("/ws/", f"Cookie: {cookie}", f"Origin: {GOOD}") + vote)
        assert wire.answer().status == 101
        assert wire.take_message()["type"] == "ack"


def test_two_origins_are_refused(listed):
    assert handshake(listed, f"Origin: {GOOD}", "Origin: https://evil.com").status in (400, 403)


def test_without_a_list_a_page_of_the_same_origin_opens_a_websocket_and_no_other(gateway):
    assert handshake_of_our_own_page(gateway).status == 101
    assert handshake(gateway).status == 101
    answer = handshake(gateway, "Origin: https://evil.com")
    assert (answer.status, answer.code) == (403, "origin_not_allowed")


def test_a_listed_page_may_ask_with_its_cookies(listed):
    answer = listed.get("/polls/", headers={"Origin": GOOD})
    assert answer.headers["Access-Control-Allow-Origin"] == GOOD
    assert "origin" in answer.headers["Vary"].lower()


@pytest.mark.parametrize("origin", FOREIGN)
def test_any_other_page_is_allowed_nothing(listed, origin):
    answer = listed.get("/polls/", headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer.headers


def preflight(gateway, origin: str):
    return gateway.call(
        "OPTIONS",
        "/votes/",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,authorization",
        },
    )


def test_a_preflight_of_a_listed_page_is_allowed(listed):
    answer = preflight(listed, GOOD)
    assert answer.status_code in (200, 204)
    assert answer.headers["Access-Control-Allow-Origin"] == GOOD
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    assert "content-type" in allowed and "authorization" in allowed


def test_a_preflight_of_any_other_page_is_allowed_nothing(listed):
    assert "Access-Control-Allow-Origin" not in preflight(listed, "https://evil.com").headers


def test_without_a_list_any_page_may_ask_but_without_credentials(gateway):
    for answer in (
        gateway.get("/polls/", headers={"Origin": "https://any.example"}),
        preflight(gateway, "https://any.example"),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers


WRITES = {
    "vote": ("POST", "/votes/"),
    "create": ("POST", "/polls/"),
    "change": ("PATCH", "/polls/1/"),
    "close": ("POST", "/polls/1/close/"),
    "delete": ("DELETE", "/polls/1/"),
}


def write(gateway, poll, origin: str):
    body = {"poll_id": poll.id, "option_id": poll.options[0], "voter": "ada"}
    return gateway.post("/votes/", json=body, headers={"Origin": origin})


@pytest.mark.parametrize(("method", "path"), WRITES.values(), ids=WRITES)
def test_any_other_page_changes_nothing(listed, method, path):
    for origin in ("https://evil.com", "null"):
        answer = listed.call(method, path, json={}, headers={"Origin": origin})
        refused(answer, 403, "origin_not_allowed")


def test_any_other_page_does_not_vote_and_a_listed_one_and_ours_do(listed):
    poll = listed.create_poll()
    for origin in FOREIGN:
        refused(write(listed, poll, origin), 403, "origin_not_allowed")
    answer = listed.post("/api/vote/", json={}, headers={"Origin": "https://evil.com"})
    assert (answer.status_code, list(answer.json())) == (403, ["detail"])
    assert listed.results(poll)["total"] == 0
    assert write(listed, poll, GOOD).status_code == 201
    assert write(listed, poll, listed.url).json()["repeated"] is True


def test_any_other_page_gets_no_event_stream(listed):
    poll = listed.create_poll()
    path = poll.path + "events/"
    refused(listed.get(path, headers={"Origin": "https://evil.com"}), 403, "origin_not_allowed")
    answer = listed.get(path, headers={"Origin": GOOD}, stream=True)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == GOOD
    answer.close()


def test_our_own_page_opens_a_websocket_beside_the_list(listed):
    assert handshake_of_our_own_page(listed).status == 101


def test_without_a_list_any_page_may_vote(gateway, poll):
    assert write(gateway, poll, "https://any.example").status_code == 201


def test_a_form_that_is_shaped_like_json_does_not_vote(gateway, poll):
    body = f'{{"poll_id":{poll.id},"option_id":{poll.options[0]},"voter":"ada"}}'
    headers = {"Origin": "https://evil.com", "Content-Type": "text/plain"}
    refused(gateway.post("/votes/", data=body, headers=headers), 415)
    assert gateway.results(poll)["total"] == 0

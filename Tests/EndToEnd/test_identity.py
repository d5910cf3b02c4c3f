"""Who votes: the signed cookie, the same token as Bearer, a name where there is nothing better."""

import pytest

from answers import refused, rows
from live import Viewer
from wire import Wire, upgrade


def new_identity(gateway, poll) -> tuple[str, str]:
    """The cookie (`name=value`) and the token that a ballot of nobody is answered with."""
    answer = gateway.vote(poll, 0)
    refused_body = answer.json()
    assert answer.status_code == 401, answer.text
    assert refused_body["error"]["code"] == "voter_required"
    token = refused_body.get("voter_token") or refused_body["error"]["voter_token"]
    assert token.startswith("psv_")
    cookie = answer.headers["Set-Cookie"].split(";")[0]
    assert cookie.split("=", 1)[1].strip('"') == token
    return cookie, token


def test_a_ballot_of_nobody_is_told_who_to_be(gateway, poll):
    answer = gateway.vote(poll, 0)
    assert answer.status_code == 401
    attributes = [part.strip().lower() for part in answer.headers["Set-Cookie"].split(";")[1:]]
    assert "httponly" in attributes
    assert any(attribute.startswith("samesite=") for attribute in attributes)
    assert "path=/" in attributes
    assert gateway.results(poll)["total"] == 0


def test_everybody_is_told_to_be_somebody_else(gateway, poll):
    tokens = {new_identity(gateway, poll)[1] for _ in range(10)}
    assert len(tokens) == 10


@pytest.mark.parametrize("carrier", ["cookie", "bearer"])
def test_sending_the_ballot_again_with_the_identity_counts_it_once(gateway, poll, carrier):
    cookie, token = new_identity(gateway, poll)
    way = {"headers": {"Cookie": cookie}} if carrier == "cookie" else {"token": token}
    assert gateway.vote(poll, 0, **way).status_code == 201
    assert gateway.vote(poll, 0, **way).json()["repeated"] is True
    refused(gateway.vote(poll, 1, **way), 409, "already_voted")
    assert gateway.results(poll)["counts"] == [1, 0]


def test_cookie_and_bearer_of_one_token_are_one_voter(gateway, poll):
    cookie, token = new_identity(gateway, poll)
    assert gateway.vote(poll, 0, headers={"Cookie": cookie}).status_code == 201
    assert gateway.vote(poll, 0, token=token).json()["repeated"] is True


def test_a_name_beside_an_identity_is_only_a_label(gateway, poll):
    cookie, _ = new_identity(gateway, poll)
    headers = {"Cookie": f"theme=dark; {cookie}; other=1"}
    assert gateway.vote(poll, 0, "ada", headers=headers).status_code == 201
    assert gateway.vote(poll, 0, "bob", headers=headers).json()["repeated"] is True
    gateway.cast(poll, 1, "ada")
    assert gateway.results(poll)["counts"] == [1, 1]
    assert [record["voter"] for record in rows(gateway.ballots_csv(poll))].count("ada") == 2


def forge(token: str) -> str:
    """Another last but one character: the last may hold bits that decoding ignores."""
    return token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]


def test_behind_sixteen_forged_cookies_no_other_is_looked_at(gateway, poll):
    cookie, _ = new_identity(gateway, poll)
    assert gateway.vote(poll, 0, headers={"Cookie": cookie}).status_code == 201
    for count, status in ((15, 200), (16, 401)):
        cookies = "; ".join([forge(cookie)] * count + [cookie])
        assert gateway.vote(poll, 0, headers={"Cookie": cookies}).status_code == status


def test_a_forged_cookie_counts_as_none(gateway, poll):
    cookie, _ = new_identity(gateway, poll)
    for forged in (forge(cookie), cookie[:-9], cookie.split("=")[0] + "=psv_", "x=y; ;;="):
        answer = gateway.vote(poll, 0, headers={"Cookie": forged})
        refused_body = answer.json()
        assert answer.status_code == 401
        assert refused_body["error"]["code"] == "voter_required"
        assert "Set-Cookie" in answer.headers
    gateway.vote(poll, 1, "ada", headers={"Cookie": forge(cookie)})
    assert gateway.results(poll)["counts"] == [0, 1]


def test_a_forged_bearer_is_unauthorized(gateway, poll):
    _, token = new_identity(gateway, poll)
    body = {"poll_id": poll.id, "option_id": poll.options[0], "voter": "ada"}
    for forged in (forge(token), token[:-9], "psv_", "psv_" + "A" * 60):
        refused(gateway.post("/votes/", json=body, token=forged), 401, "unauthorized")
    assert gateway.results(poll)["total"] == 0


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ."])
def test_a_token_that_nobody_can_check_is_unauthorized(gateway, poll, token):
    refused(gateway.vote(poll, 0, "ada", token=token), 401, "unauthorized")


def test_reading_the_api_makes_nobody_somebody(gateway, poll):
    for path in ("/polls/", poll.path, poll.path + "results/"):
        assert "Set-Cookie" not in gateway.get(path).headers


def test_a_websocket_handshake_sets_the_cookie(gateway, poll):
    with Wire(gateway) as wire:
        answer = wire.handshake(f"/ws/polls/{poll.id}/")
    assert answer.status == 101
    assert "psv_" in answer.fields["set-cookie"]


def test_a_websocket_of_an_identity_votes_without_a_name(gateway, poll):
    cookie, token = new_identity(gateway, poll)
    with Viewer(gateway, cookie=cookie) as viewer:
        assert viewer.vote(poll, 0)["status"] == "counted"
    with Viewer(gateway, token=token) as viewer:
        assert viewer.vote(poll, 0)["repeated"] is True
    assert gateway.results(poll)["counts"] == [1, 0]


def test_a_websocket_takes_the_protocol_and_not_the_token_as_its_subprotocol(gateway, poll):
    _, token = new_identity(gateway, poll)
    with Viewer(gateway, token=token) as viewer:
        assert viewer.socket.subprotocol == "pollstream.v1"


@pytest.mark.parametrize("between", [", ", "\r\nSec-WebSocket-Protocol: "], ids=["one", "two"])
def test_a_websocket_with_a_forged_bearer_is_refused(gateway, poll, between):
    _, token = new_identity(gateway, poll)
    with Wire(gateway) as wire:
        # A list may come in one field, or in several (RFC 9110 §5.3).
        fields = f"Sec-WebSocket-Protocol: pollstream.v1{between}bearer.{forge(token)}"
        wire.send(upgrade("/ws/", fields))
        answer = wire.answer()
        assert answer.status == 401
        assert answer.code == "unauthorized"
        assert wire.rest() == b""


def test_names_are_no_identity_where_they_are_denied(start_gateway):
    gateway = start_gateway("--voter-names", "deny")
    poll = gateway.create_poll()
    answer = gateway.vote(poll, 0, "ada")
    refused_body = answer.json()
    assert answer.status_code == 401
    assert refused_body["error"]["code"] == "voter_required"
    cookie, _ = new_identity(gateway, poll)
    assert gateway.vote(poll, 0, "ada", headers={"Cookie": cookie}).status_code == 201
    with Viewer(gateway) as viewer:
        error = viewer.vote(poll, 1, voter="bob")
        # The handshake may have made the socket somebody: then the name is only a label.
        assert error.get("code") == "voter_required" or error.get("status") == "counted"
        again = viewer.vote(poll, 1, voter="cyd")
        assert again.get("code") == "voter_required" or again.get("repeated") is True


def test_of_two_voters_cookies_neither_is_taken(gateway, poll):
    """A neighbouring host can set a cookie of its own beside, or in front of, the voter's."""
    (first, _), (second, _) = new_identity(gateway, poll), new_identity(gateway, poll)
    for cookies in (f"{first}; {second}", f"{second}; {first}"):
        answer = gateway.vote(poll, 0, headers={"Cookie": cookies})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "voter_required")
    assert gateway.vote(poll, 0, headers={"Cookie": f"{first}; {first}"}).status_code == 201


def test_a_form_of_a_foreign_page_votes_as_nobody(gateway, poll):
    """As a browser sends it from another page of the same site, with the cookie."""
    cookie, token = new_identity(gateway, poll)
    form = {"poll_id": poll.id, "option_id": poll.options[0]}
    foreign = {"Cookie": cookie, "Origin": "https://elsewhere.example"}
    answer = gateway.post("/votes/", data=form, headers=foreign)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "voter_required")
    # Its scripts may go on with a token of their own.
    foreign["Authorization"] = f"Bearer {token}"
    assert gateway.post("/votes/", data=form, headers=foreign).status_code == 201
    own = {"Cookie": cookie, "Origin": gateway.url}
    assert gateway.post("/votes/", data=form, headers=own).json()["repeated"] is True


def test_an_identity_outlives_the_gateway(start_gateway):
    gateway = start_gateway()
    poll = gateway.create_poll()
    cookie, _ = new_identity(gateway, poll)
    assert gateway.vote(poll, 0, headers={"Cookie": cookie}).status_code == 201
    gateway.stop()
    gateway.start()
    assert gateway.vote(poll, 0, headers={"Cookie": cookie}).json()["repeated"] is True

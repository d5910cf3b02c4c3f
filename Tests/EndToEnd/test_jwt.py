"""JWTs of an identity provider, made by PyJWT: who gets in by them, who does not, and who votes."""

import base64
import json
import re
import time
from datetime import timedelta

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from answers import refused, rows
from events import EventStream
from gateway import run_to_end
from live import Viewer
from wire import Wire, upgrade

# The store makes no difference.
pytestmark = pytest.mark.once

SECRET = "a secret that is long enough for anybody"
ISSUER, AUDIENCE = "https://id.example", "polls"
KEYS = {
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "HS256": SECRET,
}
STRANGER = ed25519.Ed25519PrivateKey.generate()
SETTLES_WITHIN = 15


def pem(key) -> str:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()  # fmt: skip


def token(subject="ada", algorithm="HS256", key=None, headers=None, **claims) -> str:
    """Valid, but for what is given: a claim of None is left out, a timedelta counts from now."""
    claims = {"sub": subject, "iss": ISSUER, "aud": AUDIENCE, "exp": timedelta(minutes=10)} | claims
    claims = {
        name: time.time() + value.total_seconds() if isinstance(value, timedelta) else value
        for name, value in claims.items()
        if value is not None
    }
    return jwt.encode(claims, key or KEYS[algorithm], algorithm=algorithm, headers=headers)


def unsigned(header: dict, claims: dict) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in (header, claims)
    ]
    return ".".join(parts)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    """A file for each kind of key, as arguments."""
    folder = tmp_path_factory.mktemp("keys")
    arguments = []
    for algorithm, key in KEYS.items():
        file = folder / algorithm
        file.write_text(key if isinstance(key, str) else pem(key))
        arguments += ["--jwt-key", str(file)]
    return arguments


@pytest.fixture(scope="module")
def gateway(start_module_gateway, files):
    return start_module_gateway(
        *files, "--jwt-issuer", ISSUER, "--jwt-audience", AUDIENCE,
        "--log-level", "debug",
    )  # fmt: skip


def refusals(gateway, reason: str) -> int:
    text = gateway.ops("GET", "/metrics").text
    return int(re.search(rf'pollstream_jwt_refused_total{{reason="{reason}"}} (\d+)', text)[1])


# Each algorithm, each way


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_subject_votes_once_by_http_and_by_websocket(gateway, poll, algorithm):
    mine = token(f"voter of {algorithm}", algorithm)
    assert gateway.vote(poll, 0, token=mine).status_code == 201
    with Viewer(gateway, token=mine) as viewer:
        assert viewer.socket.subprotocol == "pollstream.v1"
        assert viewer.vote(poll, 0)["repeated"] is True
        assert viewer.vote(poll, 1)["code"] == "already_voted"
    assert gateway.results(poll)["counts"] == [1, 0]


def test_a_socket_takes_a_token_from_the_authorization_field_too(gateway, poll):
    with Viewer(gateway) as nobody, Wire(gateway) as wire:
        answer = wire.handshake("/ws/", f"Authorization: Bearer {token()}")
        assert answer.status == 101
        assert "set-cookie" not in answer.fields, "somebody is made somebody else"
        assert nobody.vote(poll, 0)["code"] == "voter_required"


def test_a_subject_on_two_sockets_and_under_any_name_is_one_voter(gateway, poll):
    with Viewer(gateway, token=token("eve")) as one, \
            Viewer(gateway, token=token("eve", "ES256")) as other:  # fmt: skip
        assert one.vote(poll, 0, voter="a name")["status"] == "counted"
        assert other.vote(poll, 0, voter="another name")["repeated"] is True
        assert other.vote(poll, 1)["code"] == "already_voted"
    assert gateway.results(poll)["total"] == 1


def test_a_subject_and_a_name_that_read_alike_are_two_voters(gateway, poll):
    assert gateway.vote(poll, 0, token=token("ada")).status_code == 201
    assert gateway.vote(poll, 1, "ada").status_code == 201
    assert gateway.results(poll)["counts"] == [1, 1]


def test_the_export_has_the_subject_and_not_the_name_that_came_along(gateway, poll):
    assert gateway.vote(poll, 0, "another name", token=token("ada")).status_code == 201
    # Who has a cookie could call itself whatever a token says of somebody else.
    cookie = gateway.get("/").headers["Set-Cookie"].partition(";")[0]
    assert gateway.vote(poll, 0, "bob", headers={"Cookie": cookie}).status_code == 201
    assert sorted(row["voter"] for row in rows(gateway.ballots_csv(poll))) == ["", "ada"]


def test_results_that_follow_a_vote_are_shown_to_the_subject_alone(gateway):
    poll = gateway.create_poll(results="after_vote")
    assert gateway.vote(poll, 0, token=token("ada")).status_code == 201
    assert gateway.results(poll, token("ada"))["total"] == 1
    assert gateway.results(poll, token("bob"))["total"] is None
    with EventStream(gateway, poll, token=token("ada", "RS256")) as events:
        assert events.until("snapshot")["data"]["poll"]["total_votes"] == 1


def test_the_original_api_believes_a_token_before_a_name(gateway, poll):
    body = {"poll_id": poll.id, "option_id": poll.options[0], "voter_name": "a name"}
    assert gateway.post("/api/vote/", json=body, token=token("ada")).status_code == 202
    assert gateway.vote(poll, 0, token=token("ada")).json()["repeated"] is True
    answer = gateway.post("/api/vote/", json=body, token=token("ada", exp=1))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


# Who does not get in


def is_refused(gateway, poll, bad: str, reason: str):
    """By every way in, with the same words, and counted under its reason."""
    before = refusals(gateway, reason)
    answer = gateway.vote(poll, 0, "ada", token=bad)
    refused(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    for fields in (f"Sec-WebSocket-Protocol: pollstream.v1, bearer.{bad}",
                   f"Authorization: Bearer {bad}"):  # fmt: skip
        with Wire(gateway) as wire:
            wire.send(upgrade("/ws/", fields))
            refusal = wire.answer()
            assert (refusal.status, refusal.code) == (401, "unauthorized")
            assert refusal.json()["error"] == answer.json()["error"]
            assert wire.rest() == b""
    assert refusals(gateway, reason) == before + 3
    assert gateway.results(poll)["total"] == 0


CLAIMS = {
    "an hour late": ("expired", {"exp": timedelta(hours=-1)}),
    "an hour early": ("not_yet_valid", {"nbf": timedelta(hours=1)}),
    "of another issuer": ("issuer", {"iss": "https://id.example.evil.com"}),
    "of no issuer": ("issuer", {"iss": None}),
    "for others": ("audience", {"aud": ["mail", "polls2"]}),
    "for nobody": ("audience", {"aud": None}),
    "of nobody": ("subject", {"sub": None}),
    "of the empty name": ("subject", {"sub": ""}),
    "of a long name": ("subject", {"sub": "x" * 201}),
}


@pytest.mark.parametrize(("reason", "claims"), CLAIMS.values(), ids=CLAIMS)
def test_a_token_that_says_the_wrong_thing_is_refused(gateway, poll, reason, claims):
    is_refused(gateway, poll, token(**claims), reason)


@pytest.mark.parametrize(
    "claims",
    [{"exp": None}, {"exp": timedelta(seconds=-10)}, {"nbf": timedelta(seconds=10)},
     {"aud": ["mail", "polls"]}, {"iat": timedelta(hours=1)}],
    ids=["for ever", "10 s late", "10 s early", "for us among others", "made tomorrow"],
)  # fmt: skip
def test_a_token_that_says_nothing_wrong_is_taken(gateway, poll, claims):
    assert gateway.vote(poll, 0, token=token(**claims)).status_code == 201


CONFUSED = {
    "none": (unsigned({"alg": "none"}, {"sub": "ada"}) + ".", "malformed"),
    "none with a signature": (unsigned({"alg": "none"}, {"sub": "ada"}) + ".AAAA", "algorithm"),
    "None": (unsigned({"alg": "None"}, {"sub": "ada"}) + ".AAAA", "algorithm"),
    "HS512": (token(key=SECRET * 2, algorithm="HS512"), "algorithm"),
    "RS512": (token(key=KEYS["RS256"], algorithm="RS512"), "algorithm"),
    "PS256": (token(key=KEYS["RS256"], algorithm="PS256"), "algorithm"),
    "another's key": (token(key=STRANGER, algorithm="EdDSA"), "signature"),
    "no signature": (token().rsplit(".", 1)[0], "malformed"),
    "five parts": (token() + ".x.y", "malformed"),
    "no base64": ("a.b.c", "malformed"),
    "larger than 8 KiB": (token(padding="x" * 7000), "malformed"),
}


@pytest.mark.parametrize(("bad", "reason"), CONFUSED.values(), ids=CONFUSED)
def test_a_token_that_is_signed_in_the_wrong_way_is_refused(gateway, poll, bad, reason):
    is_refused(gateway, poll, bad, reason)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_public_key_is_no_secret(gateway, poll, algorithm, monkeypatch):
    # PyJWT itself refuses to do what this attack needs.
    monkeypatch.setattr(jwt.algorithms.HMACAlgorithm, "prepare_key", lambda _, key: key.encode())
    public = pem(KEYS[algorithm])
    for secret in (public, public.strip(), "".join(public.splitlines()[1:-1])):
        is_refused(gateway, poll, token(key=secret), "signature")


def test_a_token_past_the_head_gets_431_and_the_next_client_is_served(gateway, poll):
    with Wire(gateway) as wire:
        wire.send(upgrade("/ws/", f"Authorization: Bearer {'x' * 20_000}"))
        assert wire.answer().status == 431
    assert gateway.vote(poll, 0, token=token()).status_code == 201


def test_who_proves_nothing_is_told_how(gateway, poll):
    for answer in (gateway.vote(poll, 0), gateway.post(poll.path + "close/")):
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_socket_outlives_its_token_but_votes_no_more(gateway, poll):
    # The leeway for clocks is 30 s; this token has five of them left.
    with Viewer(gateway, token=token("ada", exp=timedelta(seconds=-25))) as viewer:
        viewer.subscribe(poll.id)
        deadline = time.monotonic() + SETTLES_WITHIN
        while (answer := viewer.vote(poll, 0))["type"] == "ack":
            assert time.monotonic() < deadline, answer
            time.sleep(0.1)
        assert answer["code"] == "unauthorized"
        gateway.cast(poll, 1, "bob")
        viewer.until("tally")


# What is told of it


def test_no_token_and_no_key_is_ever_in_a_log(gateway, poll):
    good, bad = token("a-subject"), token("a-subject", exp=1)
    cookie = gateway.vote(poll, 0).json()["voter_token"]
    assert gateway.vote(poll, 0, token=good).status_code == 201
    for secret in (bad, good[:-3] + "AAA", cookie[:-3] + "AAA"):
        answer = gateway.vote(poll, 0, token=secret, headers={"X-Request-Id": "r1"})
        assert answer.status_code == 401
    for secret in (good, bad, cookie):
        gateway.get(f"/ws/?access_token={secret}")
        gateway.get(f"/nowhere/{secret}")
        with Wire(gateway) as wire:
            wire.send(upgrade("/ws/", f"Sec-WebSocket-Protocol: bearer.{secret}"))
            wire.answer()
    gateway.post(poll.path + "close/", token=poll.host_key[:-2] + "xx")
    name = "the-last-one"
    gateway.get("/nowhere", headers={"X-Request-Id": name})
    gateway.wait_for_line(name)
    text = gateway.log_text(2000)
    assert "request refused" in text, "nothing was logged that could have held one"
    for secret in (good, bad, cookie, poll.host_key, SECRET):
        for part in secret.split("."):
            assert part[5:30] not in text
    assert "a-subject" not in text


def test_where_cookies_and_names_are_denied_only_jwts_vote(start_gateway, tmp_path):
    """Nor is anybody given what would not be taken."""
    key, voter_key = tmp_path / "key", tmp_path / "voter-key"
    key.write_text(SECRET)
    voter_key.write_text("k" * 44 + "\n")
    elsewhere = start_gateway("--voter-key", voter_key)
    minted = elsewhere.vote(elsewhere.create_poll(), 0).json()["voter_token"]
    gateway = start_gateway("--jwt-key", key, "--jwt-audience", AUDIENCE, "--voter-names", "deny",
                            "--voter-cookies", "deny", "--voter-key", voter_key)  # fmt: skip
    poll = gateway.create_poll()
    for way in (
        {},
        {"voter": "ada"},
        {"headers": {"Cookie": f"pollstream_voter={minted}"}},
        {"token": minted},
    ):
        answer = gateway.vote(poll, 0, **way)
        refused(answer, 401, "unauthorized", "invalid_token")
        assert "Set-Cookie" not in answer.headers
        assert "voter_token" not in answer.json()
    assert "Set-Cookie" not in gateway.get("/").headers
    with Viewer(gateway) as viewer:
        assert viewer.vote(poll, 0, voter="ada")["code"] == "voter_required"
    assert gateway.vote(poll, 0, token=token()).status_code == 201
    assert gateway.results(poll)["total"] == 1


def test_without_any_way_to_vote_the_start_is_refused():
    done = run_to_end("serve", "--voter-names", "deny", "--voter-cookies", "deny")
    assert done.returncode == 1
    assert "--jwt-key" in done.stderr

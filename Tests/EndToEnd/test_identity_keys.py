"""Files of keys, for JWTs and the voter cookie: read, read again, told of where they are wrong."""

import json
import signal

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from answers import refused
from gateway import run_to_end
from live import Viewer
from test_jwt import ISSUER, KEYS, token

# The store makes no difference.
pytestmark = pytest.mark.once


def set_of(**keys) -> str:
    """A JWKS of public keys by their ids."""
    kinds = {"RS": RSAAlgorithm, "ES": ECAlgorithm, "Ed": OKPAlgorithm}
    return json.dumps({
        "keys": [
            json.loads(kinds[name[:2]].to_jwk(key.public_key())) | {"kid": name}
            for name, key in keys.items()
        ]
    })  # fmt: skip


def test_a_set_of_keys_is_asked_by_kid_and_read_again_at_sighup(start_gateway, tmp_path):
    old, new = KEYS["EdDSA"], ed25519.Ed25519PrivateKey.generate()
    file = tmp_path / "keys.json"
    file.write_text(set_of(Ed1=old, RS1=KEYS["RS256"], ES1=KEYS["ES256"]))
    gateway = start_gateway("--jwt-key", str(file))
    poll = gateway.create_poll()

    def status(kid: str, key, algorithm="EdDSA") -> int:
        mine = token(kid, algorithm, key, {"kid": kid}, aud=None)
        return gateway.vote(poll, 0, token=mine).status_code

    def replace(text: str, *words: str):
        file.write_text(text)
        gateway.log.clear()
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_line(*words)

    assert status("Ed1", old) == 201
    assert status("RS1", KEYS["RS256"], "RS256") == 201
    assert status("ES1", KEYS["ES256"], "ES256") == 201
    assert status("RS1", old) == status("Ed2", new) == status("nobody", old) == 401
    with Viewer(gateway, token=token("eve", "EdDSA", aud=None)) as viewer:
        replace(set_of(Ed1=old, Ed2=new), "reloaded", "JWT keys", "EdDSA Ed2")
        assert (status("Ed1", old), status("Ed2", new)) == (200, 201)
        replace("{", "not reloaded", "JWT keys", str(file))
        assert (status("Ed1", old), status("Ed2", new)) == (200, 200)
        replace(set_of(Ed2=new), "reloaded", "EdDSA Ed2")
        assert (status("Ed1", old), status("Ed2", new)) == (401, 200)
        assert viewer.vote(poll, 0)["status"] == "counted", "a socket was lost, or its voter"


def test_the_key_of_the_voter_cookie_is_replaced_with_the_old_one_still_valid(
    start_gateway, tmp_path
):
    file = tmp_path / "voters"
    first, second = "a" * 40, "b" * 40
    file.write_text(first)
    gateway = start_gateway("--voter-key", str(file))
    poll = gateway.create_poll()

    def mint() -> str:
        return gateway.vote(poll, 0).json()["voter_token"]

    def replace(text: str):
        file.write_text(text)
        gateway.log.clear()
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_line("reloaded", "voter keys")

    old = mint()
    assert gateway.vote(poll, 0, token=old).status_code == 201
    replace(f"# since today\n{second}\n{first}\n")
    new = mint()
    assert gateway.vote(poll, 0, token=old).json()["repeated"] is True
    assert gateway.vote(poll, 0, token=new).status_code == 201
    replace(second)
    refused(gateway.vote(poll, 0, token=old), 401, "unauthorized")
    assert gateway.vote(poll, 0, token=new).json()["repeated"] is True


@pytest.mark.parametrize(
    ("text", "words"),
    [("short-secret", "12 bytes"), ("", "empty"), ("{}", "kty"),
     ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "cannot be read")],
    ids=["a short secret", "nothing", "no key", "no PEM"],
)  # fmt: skip
def test_check_says_what_is_wrong_with_a_file_and_not_what_is_in_it(tmp_path, text, words):
    file = tmp_path / "key"
    file.write_text(text)
    done = run_to_end("check", "--jwt-key", file, folder=tmp_path)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "--jwt-key" in said and words in said
    assert not text or text not in said


def test_an_issuer_without_a_key_checks_nothing_and_is_refused(tmp_path):
    done = run_to_end("check", "--jwt-issuer", ISSUER, folder=tmp_path)
    assert done.returncode == 1
    assert "--jwt-key" in done.stdout + done.stderr

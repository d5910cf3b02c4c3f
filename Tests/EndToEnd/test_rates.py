"""Rates of one voter, and of one address that many voters may share."""

import jwt
import pytest

from answers import refused, retry_after
from live import Viewer
from wire import Wire, upgrade

# The store makes no difference.
pytestmark = pytest.mark.once

SECRET = "a secret that is long enough for anybody"
SHARED = ("--rate-votes", "3/min", "--address-share", "4")


def mint(gateway, poll) -> str:
    return gateway.vote(poll, 0).json()["voter_token"]


def statuses(gateway, poll, count: int, **voter) -> list[int]:
    return [gateway.vote(poll, 0, **voter).status_code for _ in range(count)]


def test_a_voter_has_one_rate_and_its_address_as_many_as_it_shares(start_gateway):
    gateway = start_gateway(*SHARED)
    poll = gateway.create_poll()
    voters = [mint(gateway, poll) for _ in range(5)]
    for voter in voters[:4]:
        assert statuses(gateway, poll, 4, token=voter) == [201, 200, 200, 429]
    # Twelve came from here; the fifth has sent none, and what it is refused costs it nothing.
    answer = gateway.vote(poll, 0, token=voters[4])
    refused(answer, 429, "rate_limited")
    assert 1 <= retry_after(answer) <= 5
    assert gateway.results(poll)["total"] == 4


def test_a_voter_has_one_rate_on_all_its_sockets_and_over_http(start_gateway):
    gateway = start_gateway(*SHARED)
    poll = gateway.create_poll()
    voter = mint(gateway, poll)
    with Viewer(gateway, token=voter) as one, Viewer(gateway, token=voter) as other:
        assert one.vote(poll, 0)["status"] == "counted"
        assert other.vote(poll, 0)["repeated"] is True
        assert gateway.vote(poll, 0, token=voter).status_code == 200
        assert one.vote(poll, 0)["code"] == "rate_limited"
        assert other.vote(poll, 0)["code"] == "rate_limited"
        assert one.vote(poll, 0, voter="a name changes nothing")["code"] == "rate_limited"
    assert gateway.vote(poll, 1, "ada").status_code == 201


def test_a_subject_cannot_be_made_up_and_is_bound_by_its_own_rate_alone(start_gateway, tmp_path):
    key = tmp_path / "key"
    key.write_text(SECRET)
    gateway = start_gateway("--jwt-key", key, "--rate-votes", "2/min")
    poll = gateway.create_poll()
    assert statuses(gateway, poll, 3, voter="ada") == [201, 200, 429]
    for number in range(6):
        subject = jwt.encode({"sub": f"s{number}"}, SECRET, algorithm="HS256")
        assert statuses(gateway, poll, 3, token=subject) == [201, 200, 429]


def test_one_network_of_ipv6_is_one_client(start_gateway):
    gateway = start_gateway(
        "--trusted-proxy", "127.0.0.0/8", "--rate-votes", "1/min", "--rate-polls", "9/min"
    )
    poll = gateway.create_poll()

    def status(voter: str, client: str) -> int:
        return gateway.vote(poll, 0, voter, headers={"X-Forwarded-For": client}).status_code

    assert status("ada", "2001:db8:0:1::1") == 201
    assert status("bob", "2001:db8:0:1:ffff::2") == 429
    assert status("cyd", "2001:db8:0:2::1") == 201


@pytest.mark.parametrize("share", [1, 3])
def test_messages_and_live_connections_are_shared_too(start_gateway, share):
    gateway = start_gateway(
        "--rate-handshakes", "4/min", "--rate-messages", "2/min", "--address-share", str(share)
    )
    codes = []
    with Viewer(gateway) as viewer:
        for _ in range(2 * share + 1):
            codes.append(viewer.ask(type="unsubscribe", poll_ids="x")["code"])
    assert codes == ["invalid"] * 2 * share + ["rate_limited"]
    opened = 1
    while status_of_handshake(gateway) == 101:
        opened += 1
    assert opened == 4 * share
    # Who cannot prove what it claims is counted as well.
    assert status_of_handshake(gateway, "Authorization: Bearer psv_forged") == 429


def status_of_handshake(gateway, *fields: str) -> int:
    with Wire(gateway) as wire:
        wire.send(upgrade("/ws/", *fields))
        return wire.answer().status

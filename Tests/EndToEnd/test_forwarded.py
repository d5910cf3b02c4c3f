"""`X-Forwarded-For`: whom a proxy that ends HTTP says its client is; believed of trusted proxies
alone. Seen by who shares a rate with whom."""

import socket
from urllib.parse import urlsplit

import pytest

from live import Viewer

# The store makes no difference.
pytestmark = pytest.mark.once

TRUSTED = ("--trusted-proxy", "127.0.0.0/8", "--trusted-proxy", "10.0.0.0/8")


def create(gateway, forwarded=None) -> int:
    """The status of creating a poll, of which each client may create one a minute."""
    headers = {"X-Forwarded-For": forwarded} if forwarded is not None else {}
    return gateway.post(
        "/polls/", json={"title": "Which?", "options": ["a", "b"]}, headers=headers
    ).status_code


@pytest.fixture
def gateway(start_gateway):
    return start_gateway(*TRUSTED, "--rate-polls", "1/min")


def test_each_client_of_a_trusted_proxy_has_its_own_rate(gateway):
    assert create(gateway, "192.0.2.1") == 201
    assert create(gateway, "192.0.2.1") == 429
    assert create(gateway, "192.0.2.2") == 201
    assert create(gateway) == 201
    assert create(gateway) == 429


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # The right-most that is not a trusted proxy; what is left of it may be made up.
        ("192.0.2.1", "203.0.113.9, 192.0.2.1"),
        ("192.0.2.1", "192.0.2.1, 10.1.2.3,10.4.5.6"),
        ("192.0.2.1", "unknown, 192.0.2.1"),
        ("192.0.2.1", "192.0.2.1:5000"),
        ("192.0.2.1", "192.0.2.1,, ,"),  # empty items say nothing
        ("2001:db8::1", "[2001:db8::1]:5000"),
        ("2001:db8::1", "[2001:db8:0:0::ffff]"),  # one /64 is one client
    ],
)
def test_the_same_client_said_otherwise(gateway, first, second):
    assert create(gateway, first) == 201
    assert create(gateway, second) == 429


@pytest.mark.parametrize(
    "forwarded",
    [
        "", ",", "unknown", "_hidden", "192.0.2.1, unknown", "192.0.2.256",
        "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:1:2", "[192.0.2.1]", "[2001:db8::1",
        "[2001:db8::1]x", "192.0.2.1%eth0", "10.1.1.1, 10.2.2.2",
        "192.0.2.1" + ", 10.0.0.1" * 1_000,
    ],
)  # fmt: skip
def test_what_names_nobody_leaves_the_proxy_itself(gateway, forwarded):
    assert create(gateway) == 201
    assert create(gateway, forwarded) == 429


def test_several_fields_are_one_list_in_order(gateway):
    def twice(first: str, second: str) -> int:
        body = b'{"title":"Which?","options":["a","b"]}'
        head = (
            "POST /polls/ HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nX-Forwarded-For: {first}\r\n"
            f"X-Forwarded-For: {second}\r\nConnection: close\r\n\r\n"
        )
        return int(exchange(gateway, head.encode() + body).split(b" ")[1])

    assert twice("203.0.113.1", "192.0.2.1") == 201
    assert create(gateway, "192.0.2.1") == 429
    assert twice("192.0.2.7", "10.0.0.1") == 201
    assert create(gateway, "192.0.2.7") == 429


def exchange(gateway, request: bytes) -> bytes:
    at = urlsplit(gateway.url)
    with socket.create_connection((at.hostname, at.port), 5) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(1 << 16):
            answer += part
    return answer


def test_nobody_is_believed_unless_named(start_gateway):
    for arguments in ((), ("--trusted-proxy", "10.0.0.0/8")):
        gateway = start_gateway(*arguments, "--rate-polls", "1/min")
        assert create(gateway, "192.0.2.1") == 201
        assert create(gateway, "192.0.2.2") == 429


def test_a_socket_is_its_clients_for_good(start_gateway):
    gateway = start_gateway(*TRUSTED, "--rate-votes", "1/min", "--voter-names", "allow")
    poll = gateway.create_poll()

    def socket_of(client: str):
        return Viewer(gateway, forwarded=client)

    with socket_of("192.0.2.1") as one, socket_of("192.0.2.2") as other:
        assert one.vote(poll, 0, voter="ada")["type"] == "ack"
        assert one.vote(poll, 0, voter="bob")["code"] == "rate_limited"
        assert other.vote(poll, 0, voter="eve")["type"] == "ack"

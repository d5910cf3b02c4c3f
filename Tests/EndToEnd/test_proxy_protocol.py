"""Behind a TCP load balancer: the PROXY protocol, spoken by hand and by HAProxy."""

import contextlib
import json
import re
import socket
import struct
import subprocess
import time

import pytest

from balancer import Balancer
from gateway import REPOSITORY, Poll, limits
from ports import free_port

# The store makes no difference.
pytestmark = pytest.mark.once

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def line(address: str, family: str = "TCP4") -> bytes:
    there = "::1" if family == "TCP6" else "127.0.0.1"
    return f"PROXY {family} {address} {there} 4000 80\r\n".encode()


def binary(address: str, *, command: int = 1, extra: bytes = b"") -> bytes:
    body = socket.inet_aton(address) + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 4000, 80)
    body += extra
    return SIGNATURE + bytes([0x20 | command, 0x11]) + struct.pack("!H", len(body)) + body


def ballot(poll, voter: str) -> bytes:
    body = json.dumps({"poll_id": poll.id, "option_id": poll.options[0], "voter": voter}).encode()
    return (
        b"POST /votes/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
    )


def said(address, *pieces: bytes, source: str = "127.0.0.1", pause: float = 0.0) -> bytes:
    """All that is answered until the connection ends; nothing where it is reset, which `connect`
    itself may be the one to report."""
    answer = b""
    with (
        contextlib.suppress(ConnectionResetError, BrokenPipeError),
        socket.create_connection(address, timeout=10, source_address=(source, 0)) as peer,
    ):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            peer.sendall(piece)
            time.sleep(pause)
        while part := peer.recv(65536):
            answer += part
    return answer


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.fixture(scope="module", params=["optional", "required"])
def gateway(start_module_gateway, request):
    return start_module_gateway(
        "--proxy-protocol", request.param, "--rate-votes", "3/min", *limits(proxy_timeout="500ms"),
    )  # fmt: skip


@pytest.fixture
def poll(gateway):
    """Made past the balancer's listener, which asks for a header."""
    body = json.dumps({"title": "Which?", "options": ["a", "b"]}).encode()
    answer = said(
        gateway.address,
        line("203.0.113.200")
        + b"POST /polls/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body),
    )
    return Poll(json.loads(answer.split(b"\r\n\r\n", 1)[1]))


@pytest.mark.parametrize("header", [line, binary])
def test_limits_hold_for_the_client_that_the_balancer_names(gateway, poll, header):
    number = 1 if header is line else 2
    first, second = f"198.51.100.{number}", f"198.51.{number}.100"
    outcomes = [
        status(said(gateway.address, header(first) + ballot(poll, f"{first} {n}")))
        for n in range(5)
    ]
    assert outcomes == [201, 201, 201, 429, 429]
    assert status(said(gateway.address, header(second) + ballot(poll, second))) == 201


def test_an_ipv4_address_in_ipv6_clothes_is_the_same_client(gateway, poll):
    headers = [line("192.0.2.77"), line("::ffff:192.0.2.77", "TCP6"), binary("192.0.2.77")] * 2
    outcomes = [
        status(said(gateway.address, header + ballot(poll, f"clothes {number}")))
        for number, header in enumerate(headers)
    ]
    assert outcomes == [201, 201, 201, 429, 429, 429]


@pytest.mark.parametrize("header", [line("203.0.113.1"), binary("203.0.113.2", extra=b"\4\0\1x")])
def test_a_header_may_come_byte_by_byte(gateway, header):
    pieces = [bytes([byte]) for byte in header]
    answer = said(gateway.address, *pieces, b"GET /polls/ HTTP/1.0\r\n\r\n", pause=0.002)
    assert status(answer) == 200


def test_a_check_without_a_client_is_served_as_the_balancer_itself(gateway):
    for header in (binary("0.0.0.0", command=0), b"PROXY UNKNOWN\r\n"):
        assert status(said(gateway.address, header + b"GET /polls/ HTTP/1.0\r\n\r\n")) == 200


def test_header_request_and_upgrade_may_come_at_once(gateway, poll):
    upgrade = (
        f"GET /ws/polls/{poll.id}/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()
    close = bytes([0x88, 0x80, 0, 0, 0, 0])
    answer = said(gateway.address, binary("203.0.113.9") + upgrade + close)
    assert answer.startswith(b"HTTP/1.1 101") and answer.endswith(b"\x88\x02\x03\xe8")


def statuses(answer: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d+)", answer)]


@pytest.mark.parametrize("header", [line, binary])
def test_header_and_pipelined_ballots_may_come_at_once(gateway, poll, header):  # G23
    client = "198.18.0.1" if header is line else "198.18.0.2"
    ballots = b"".join(
        ballot(poll, f"{client} {n}").replace(
            b"Connection: close\r\n", b"" if n < 4 else b"X: y\r\n"
        )
        for n in range(5)
    )
    last = b"GET /polls/ HTTP/1.0\r\n\r\n"
    assert statuses(said(gateway.address, header(client) + ballots + last)) == [
        201, 201, 201, 429, 429, 200,
    ]  # fmt: skip


CUT = [
    *(SIGNATURE[:count] for count in range(1, 12)),
    *(binary("192.0.2.1")[:count] for count in (12, 13, 15, 16, 20)),
    *(line("192.0.2.1")[:count] for count in (1, 4, 6, 11, 20, 30)),
]


@pytest.mark.parametrize("pause", [0, 0.02], ids=["at once", "in pieces"])
@pytest.mark.parametrize("cut", CUT, ids=repr)
def test_a_request_behind_a_header_that_is_cut_is_not_executed(gateway, poll, cut, pause):  # G24
    address = gateway.address
    request = ballot(poll, f"{cut!r} {pause}")
    answer = said(address, cut, request, pause=pause) if pause else said(address, cut + request)
    # Without a header a request may come, line ends before it, and PPOST may be a method.
    if "optional" in gateway.arguments and not cut.strip(b"\r\n"):
        assert status(answer) in (201, 400)
        return
    assert status(answer) in (0, 400, 405)
    assert answer.count(b"HTTP/1.1 ") <= 1
    read = line("203.0.113.201") + b"GET %b HTTP/1.0\r\nHost: x\r\n\r\n" % poll.path.encode()
    assert json.loads(said(address, read).split(b"\r\n\r\n", 1)[1])["total_votes"] == 0


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP4 256.1.1.1 1.1.1.1 1 2\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 1 2\n",
        b"PROXY " + b"x" * 200,
        SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12),
        SIGNATURE + b"\x21\x11\xff\xff" + bytes(4096),
        binary("1.2.3.4", extra=b"\x03\x00\x04abcd"),
    ],
)
def test_a_malformed_header_ends_the_connection_without_a_word(gateway, header):
    assert said(gateway.address, header, b"GET /polls/ HTTP/1.0\r\n\r\n") == b""


def test_half_a_header_is_waited_for_only_so_long(gateway):
    began = time.monotonic()
    assert said(gateway.address, SIGNATURE[:8]) == b""
    assert 0.3 < time.monotonic() - began < 5


def test_a_second_header_is_a_malformed_request(gateway):
    answer = said(gateway.address, line("1.2.3.4") * 2 + b"GET / HTTP/1.0\r\n\r\n")
    assert status(answer) == 400


def test_without_a_header(gateway):
    answer = said(gateway.address, b"GET /polls/ HTTP/1.0\r\n\r\n")
    assert status(answer) == (200 if "optional" in gateway.arguments else 0)


def test_only_the_trusted_are_believed(start_gateway):
    for mode in ("optional", "required"):
        gateway = start_gateway(
            "--proxy-protocol", mode, "--trusted-proxy", "127.0.0.2/31", "--trusted-proxy", "::1"
        )
        request = line("1.2.3.4") + b"GET /polls/ HTTP/1.0\r\n\r\n"
        assert status(said(gateway.address, request, source="127.0.0.3")) == 200
        # 400 where a plain request may come from anybody, else no word.
        expected = 400 if mode == "optional" else 0
        for header in (line("1.2.3.4"), binary("1.2.3.4")):  # G07
            answer = said(gateway.address, header + request, source="127.0.0.4")
            assert status(answer) == expected and answer.count(b"HTTP/1.1 ") == (expected > 0)
            assert answer == b"" or b"\r\nConnection: close\r\n" in answer


def test_without_the_option_a_header_is_a_malformed_request(start_gateway):
    gateway = start_gateway()
    assert status(said(gateway.address, line("1.2.3.4") + b"GET / HTTP/1.0\r\n\r\n")) == 400


@pytest.mark.parametrize("name", ["haproxy.cfg", "haproxy.services.cfg"])
def test_the_configuration_that_is_shipped_is_valid(name):
    done = subprocess.run(
        ["haproxy", "-c", "-f", REPOSITORY / "deploy" / name], capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()


def test_the_sample_for_nginx_is_valid(tmp_path):
    page = (REPOSITORY / "docs" / "load-balancers.md").read_text()
    sample = re.search(r"^```nginx\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[1]
    assert "listen 80;" in sample
    settings = tmp_path / "nginx.conf"
    settings.write_text(
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n"
        f"pid {tmp_path}/pid;\nevents {{ }}\n"
        # It is bound while it is looked at.
        + sample.replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
    )
    done = subprocess.run(
        ["nginx", "-t", "-p", tmp_path, "-e", tmp_path / "error.log", "-c", settings],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("word", ["send-proxy", "send-proxy-v2"])
def test_haproxy_names_its_clients(start_gateway, tmp_path, word):
    gateway = start_gateway("--proxy-protocol", "required", "--rate-votes", "3/min")
    with Balancer(gateway, tmp_path, word) as balancer:
        body = json.dumps({"title": "Which?", "options": ["a", "b"]}).encode()
        made = said(
            balancer.address,
            b"POST /polls/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body),
        )
        poll = Poll(json.loads(made.split(b"\r\n\r\n", 1)[1]))
        for client in range(10, 60):
            source = f"127.0.0.{client}"
            outcomes = [
                status(said(balancer.address, ballot(poll, f"{source} {n}"), source=source))
                for n in range(4)
            ]
            assert outcomes == [201, 201, 201, 429]

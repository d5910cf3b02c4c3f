"""Every limit: what lies at it passes, what lies past it is answered and costs its connection."""

import json
import time

import pytest

from answers import refused, retry_after
from balancer import reached
from gateway import eventually, limits
from live import Viewer
from wire import (
    BINARY,
    CONTINUATION,
    PING,
    TEXT,
    Wire,
    frame,
    get,
    post_json,
    request,
    text,
    upgrade,
)  # fmt: skip

pytestmark = [pytest.mark.once, pytest.mark.takes(20)]


@pytest.fixture(scope="module", params=["direct", "haproxy"])
def gateway(request, start_module_gateway, tmp_path_factory):
    """Small sizes and long times: what is counted here is bytes."""
    options = (
        "--ws-echo",
        *limits(request_line=200, head=1000, fields=20, body=2000),
        *limits(message=1000, fragments=8, subscriptions=5),
    )
    with reached(request.param, start_module_gateway, tmp_path_factory, *options) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def hasty(start_module_gateway):
    """Short times and ample sizes: what is counted here is seconds."""
    return start_module_gateway(
        *limits(header_timeout="700ms", body_timeout="1s", idle_timeout="1500ms"),
        *limits(close_timeout="700ms", ping_period="700ms"),
    )


def is_answered_and_closed(gateway, data: bytes, status: int, code="too_large"):
    """`data` gets `status` and nothing after it."""
    with Wire(gateway) as wire:
        wire.send(data)
        answer = wire.answer()
        assert (answer.status, answer.code) == (status, code)
        assert answer.fields["connection"].lower() == "close"
        assert wire.rest() == b""


def is_served(gateway, data: bytes, status: int = 200):
    with Wire(gateway) as wire:
        wire.send(data)
        assert wire.answer().status == status


# HTTP sizes


def request_line(count: int) -> str:
    return "/polls/?" + "x" * (count - len("GET /polls/? HTTP/1.1"))


def test_a_request_line_up_to_its_limit_passes_and_past_it_gets_414(gateway):
    is_served(gateway, get(request_line(190)))
    is_answered_and_closed(gateway, get(request_line(210)), 414)


def test_a_head_past_its_limit_gets_431(gateway):
    is_served(gateway, get("/polls/", "X-Long: " + "x" * 900))
    is_answered_and_closed(gateway, get("/polls/", "X-Long: " + "x" * 1000), 431)


def test_a_head_that_never_ends_gets_431_before_it_ends(gateway):
    is_answered_and_closed(gateway, b"GET /polls/ HTTP/1.1\r\nX: " + b"x" * 5000, 431)


def test_more_fields_than_the_limit_get_431(gateway):
    is_served(gateway, get("/polls/", *(f"X-{n}: y" for n in range(19))))
    is_answered_and_closed(gateway, get("/polls/", *(f"X-{n}: y" for n in range(20))), 431)


def poll_of(count: int) -> dict:
    """A poll whose JSON text is `count` bytes long."""
    document = {"title": "t", "options": ["a", "b"], "ignored": ""}
    document["ignored"] = "x" * (count - len(json.dumps(document)))
    return document


def test_a_body_up_to_its_limit_passes_and_past_it_gets_413(gateway):
    is_served(gateway, post_json("/polls/", poll_of(2000)), 201)
    is_answered_and_closed(gateway, post_json("/polls/", poll_of(2001)), 413)


def test_a_body_is_refused_by_its_announced_length_alone(gateway):
    head = request(
        "POST /polls/ HTTP/1.1", "Content-Type: application/json", "Content-Length: 2001"
    )
    is_answered_and_closed(gateway, head, 413)


def test_chunks_that_sum_past_the_limit_get_413(gateway):
    head = request(
        "POST /polls/ HTTP/1.1", "Content-Type: application/json", "Transfer-Encoding: chunked"
    )
    chunk = b"1f4\r\n" + b" " * 500 + b"\r\n"
    is_answered_and_closed(gateway, head + chunk * 5, 413)


def test_a_client_that_asks_before_a_large_body_is_refused_without_it(gateway):
    head = request(
        "POST /polls/ HTTP/1.1", "Content-Type: application/json", "Content-Length: 5000",
        "Expect: 100-continue",
    )  # fmt: skip
    is_answered_and_closed(gateway, head, 413)


# WebSocket sizes


def test_a_message_up_to_its_limit_passes_and_past_it_closes_with_1009(gateway):
    with Wire(gateway) as wire:
        wire.handshake("/ws/echo/")
        wire.send_frame(TEXT, b"x" * 1000)
        assert wire.take_frame() == (TEXT, b"x" * 1000)
        wire.send_frame(TEXT, b"x" * 1001)
        assert wire.close_code() == 1009


def test_a_message_is_refused_by_its_announced_length_alone(gateway):
    with Wire(gateway) as wire:
        wire.handshake("/ws/")
        wire.send(frame(TEXT, b"", announced=1001, length_form=126))
        assert wire.close_code() == 1009


def test_fragments_that_sum_past_the_limit_close_with_1009(gateway):
    with Wire(gateway) as wire:
        wire.handshake("/ws/")
        wire.send_frame(TEXT, b"x" * 600, fin=False)
        wire.send_frame(CONTINUATION, b"x" * 600)
        assert wire.close_code() == 1009


def test_a_message_in_as_many_fragments_as_the_limit_passes_and_one_more_closes_with_1008(gateway):
    with Wire(gateway) as wire:
        wire.handshake("/ws/echo/")
        send_in_fragments(wire, 8)
        assert wire.take_frame() == (TEXT, b"x" * 8)
        send_in_fragments(wire, 9)
        assert wire.close_code() == 1008


def send_in_fragments(wire: Wire, count: int):
    wire.send_frame(TEXT, b"x", fin=False)
    for _ in range(count - 2):
        wire.send_frame(CONTINUATION, b"x", fin=False)
    wire.send_frame(CONTINUATION, b"x")


def test_more_subscriptions_than_the_limit_are_refused_and_the_socket_stays(gateway):
    polls = [gateway.create_poll() for _ in range(6)]
    with Viewer(gateway) as viewer:
        viewer.subscribe(*(poll.id for poll in polls[:5]))
        error = viewer.ask(type="subscribe", poll_ids=[polls[5].id])
        assert (error["type"], error["code"]) == ("error", "too_many_subscriptions")
        viewer.send(type="unsubscribe", poll_ids=[polls[0].id])
        (snapshot,) = viewer.subscribe(polls[5].id)
        assert snapshot["poll"]["id"] == polls[5].id


# Times


def test_a_head_that_does_not_come_to_its_end_gets_408(hasty):
    with Wire(hasty) as wire:
        wire.send(b"GET /polls/ HTTP/1.1\r\nHost: x\r\n")
        assert wire.answer().status == 408
        assert wire.rest() == b""


def test_a_head_that_trickles_is_timed_from_its_first_byte(hasty):
    with Wire(hasty) as wire:
        wire.socket.settimeout(0.1)
        deadline = time.monotonic() + 15
        wire.send(b"GET /polls/ HTTP/1.1\r\nX: ")
        while not wire.ended:
            assert time.monotonic() < deadline, "a trickle kept the connection open"
            wire.send(b"x")
            try:
                wire._fill()
            except TimeoutError:
                continue
        assert b" 408 " in wire.received or wire.received == b""


def test_a_body_that_does_not_come_to_its_end_gets_408(hasty):
    with Wire(hasty) as wire:
        wire.send(post_json("/votes/", {"poll_id": 1, "option_id": 1})[:-4])
        assert wire.answer().status == 408
        assert wire.rest() == b""


@pytest.mark.parametrize("data", [b"", get()], ids=["never used", "used once"])
def test_an_idle_connection_is_closed(hasty, data):
    with Wire(hasty) as wire:
        if data:
            wire.send(data)
            assert wire.answer().status == 200
        rest = wire.rest()
        assert rest == b"" or (not data and b" 408 " in rest)


def test_a_handshake_that_stalls_is_closed(hasty):
    with Wire(hasty) as wire:
        wire.send(upgrade("/ws/")[:-2])
        rest = wire.rest()
        assert rest == b"" or b" 408 " in rest


def test_a_peer_that_does_not_answer_our_close_is_dropped(hasty):
    with Wire(hasty) as wire:
        wire.handshake("/ws/")
        wire.send_frame(BINARY, b"x")
        assert wire.close_code() == 1003
        assert wire.rest() == b""


def test_the_gateway_pings_and_drops_a_peer_that_stays_silent(hasty):
    with Wire(hasty) as wire:
        wire.handshake("/ws/")
        opcode, _ = wire.take_frame()
        assert opcode == PING
        wire.rest()


def test_a_peer_that_answers_pings_stays(hasty):
    with Viewer(hasty, ping_interval=None) as viewer:
        deadline = time.monotonic() + 4  # more than five periods
        while time.monotonic() < deadline:
            with pytest.raises(TimeoutError):
                viewer.receive(0.5)
        assert viewer.said_by_now() == []


def test_a_subscriber_that_takes_no_byte_is_closed_and_no_other(start_gateway):
    gateway = start_gateway("--tick", "5ms", *limits(ping_period="1s"))
    polls = [gateway.create_poll([f"option {n}" for n in range(20)]) for _ in range(100)]
    with Wire(gateway, receive_buffer=4096) as sleeper, Viewer(gateway) as awake:
        sleeper.handshake("/ws/")
        ids = [poll.id for poll in polls]
        sleeper.send(text({"type": "subscribe", "poll_ids": ids}))
        awake.subscribe(*ids)
        for poll in polls:
            gateway.cast(poll, 0, "ada")
        deadline = time.monotonic() + 20
        while is_held(sleeper):
            assert time.monotonic() < deadline, "a subscriber that takes nothing stays for ever"
            awake.said_by_now()
            time.sleep(0.2)
        awake.said_by_now()


def is_held(wire: Wire) -> bool:
    """Whether the gateway still holds its end of this connection (Linux, /proc/net/tcp)."""
    port = wire.socket.getsockname()[1]
    remote = f"0100007F:{port:04X}"
    established = "01"
    with open("/proc/net/tcp") as table:
        return any(
            columns[2] == remote and columns[3] == established
            for columns in (line.split() for line in table)
        )


# Connections


def test_connections_past_the_limit_are_answered_and_those_before_it_live(start_gateway):
    gateway = start_gateway(*limits(connections=6))
    viewers = [Viewer(gateway) for _ in range(6)]
    with Wire(gateway) as wire:
        wire.send(get())
        answer = wire.answer()
        assert (answer.status, answer.code) == (503, "overloaded")
        assert answer.fields["retry-after"].isdigit()
        assert wire.rest() == b""
    for viewer in viewers:
        assert viewer.said_by_now() == []
        viewer.socket.close()
    assert_served_again(gateway)


def assert_served_again(gateway):
    deadline = time.monotonic() + 10
    while gateway.get("/polls/").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_handshake_past_the_limit_gets_503_or_1013(start_gateway):
    gateway = start_gateway(*limits(connections=3))
    viewers = [Viewer(gateway) for _ in range(3)]
    with Wire(gateway) as wire:
        wire.send(upgrade("/ws/"))
        answer = wire.answer()
        if answer.status == 101:
            assert wire.close_code() == 1013
        else:
            assert answer.status == 503
            assert answer.fields["retry-after"].isdigit()
    for viewer in viewers:
        assert viewer.said_by_now() == []
        viewer.socket.close()


def test_connections_past_the_limit_of_one_address_get_429(start_gateway):
    gateway = start_gateway(*limits(connections_per_address=3))
    poll = gateway.create_poll()
    viewers = [Viewer(gateway) for _ in range(3)]
    for path, fields in (("/ws/", UPGRADE), (f"{poll.path}events/", {})):
        answer = gateway.get(path, headers=fields)
        refused(answer, 429, "rate_limited")
        assert retry_after(answer) >= 0
    # Neighbours behind the same address still vote.
    gateway.cast(poll, 0, "ada")
    for viewer in viewers:
        viewer.socket.close()
    eventually(lambda: opens(gateway))


def opens(gateway) -> bool:
    with Wire(gateway) as wire:
        return wire.handshake("/ws/").status == 101


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}

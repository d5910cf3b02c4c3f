"""WebSocket opening handshakes that must not switch (RFC 6455, section 4): BAD_INPUT section C."""

import pytest

from wire import TEXT, Wire, ballot, frame, get, request, upgrade

# The store makes no difference.
pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def gateway(reached_both_ways):
    return reached_both_ways


GOOD_KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def without_key() -> bytes:
    return upgrade("/ws/", key=[])


def only(*fields: str) -> bytes:
    return request("GET /ws/ HTTP/1.1", *fields, f"Sec-WebSocket-Key: {GOOD_KEY}",
                   "Sec-WebSocket-Version: 13")  # fmt: skip


REFUSED = {
    "C01 no key": ((400,), without_key()),
    "C02 key not base64": ((400,), upgrade("/ws/", key="!" * 24)),
    "C02 key of 15 bytes": ((400,), upgrade("/ws/", key="AAAAAAAAAAAAAAAAAAAA")),
    "C02 key of 17 bytes": ((400,), upgrade("/ws/", key="AAAAAAAAAAAAAAAAAAAAAAA=")),
    "C02 key with bits left over": ((400,), upgrade("/ws/", key="dGhlIHNhbXBsZSBub25jZR==")),
    "C02 empty key": ((400,), upgrade("/ws/", key="")),
    "C02 two keys": ((400,), upgrade("/ws/", key=[GOOD_KEY, GOOD_KEY])),
    **{
        f"C03 version {version!r}": ((426,), upgrade("/ws/", version=version))
        for version in ("0", "8", "12", "14", "255")
    },
    **{
        f"C03 version {version!r}": ((400, 426), upgrade("/ws/", version=version))
        for version in ("13, 8", "x", "", "013")
    },
    "C03 no version": ((400, 426), upgrade("/ws/", version=[])),
    "C03 two versions": ((400, 426), upgrade("/ws/", version=["13", "13"])),
    "C04 POST": ((400, 405), upgrade("/ws/", method="POST")),
    "C04 HTTP/1.0": ((400,), upgrade("/ws/").replace(b"HTTP/1.1", b"HTTP/1.0")),
    "C05 no Host": ((400,), upgrade("/ws/").replace(b"Host: gateway\r\n", b"")),
    "C05 two Host": ((400,), upgrade("/ws/", "Host: gateway")),
    "C06 no Connection": ((400, 426), only("Upgrade: websocket")),
    "C06 Connection without upgrade": ((400, 426), only("Upgrade: websocket", "Connection: close")),
    "C06 no Upgrade": ((400, 404, 426), only("Connection: Upgrade")),
    "C06 Upgrade to something else": ((400, 404, 426), only("Upgrade: h2c", "Connection: Upgrade")),
    "C06 a plain GET": ((400, 404, 426), get("/ws/")),
    "C12 body by length": ((400,), upgrade("/ws/", "Content-Length: 5", body=b"12345")),
    "C12 chunked body": ((400,), upgrade("/ws/", "Transfer-Encoding: chunked",
                                         body=b"0\r\n\r\n")),
    "C22 unknown path": ((404,), upgrade("/ws/nowhere/")),
    "C22 a path of HTTP": ((200, 400, 404, 426), upgrade("/polls/")),
    "C22 no number": ((400, 404), upgrade("/ws/polls/abc/")),
}  # fmt: skip


@pytest.mark.parametrize("row", REFUSED)
def test_a_wrong_handshake_is_refused_and_nothing_behind_it_is_executed(gateway, poll, row):
    statuses, data = REFUSED[row]
    with Wire(gateway) as wire:
        wire.send(data)
        answer = wire.answer()
        assert answer.status in statuses, answer
        if answer.status == 426:
            assert answer.fields["sec-websocket-version"] == "13"
        if b"Upgrade: websocket" in data and b" /ws/" in data:
            wire.send(ballot(poll, "behind the handshake"))
            assert wire.rest() == b""
    assert gateway.results(poll)["total"] == 0


ACCEPTED = {
    "C03 spaces around the version": upgrade("/ws/", version=" 13 "),
    "any case": request(
        "GET /ws/ HTTP/1.1", "UPGRADE: WebSocket", "connection: KEEP-alive, uPGRADE",
        f"sec-websocket-KEY: {GOOD_KEY}", "sec-websocket-version: 13"),
    "C07 a list with websocket": upgrade("/ws/").replace(b": websocket", b": websocket, h2c"),
    **{
        f"C10 {offer}": upgrade("/ws/", f"Sec-WebSocket-Protocol: {offer}")
        for offer in ("chat", "chat, superchat", "pollstream.v1, pollstream.v1", ",", "a b",
                      "POLLSTREAM.V1", "pollstream.v2")
    },
    **{
        f"C11 {offer[:50]}": upgrade("/ws/", f"Sec-WebSocket-Extensions: {offer}")
        for offer in ("permessage-deflate; client_max_window_bits=99", "unknown; a=b", ";;;",
                      "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
                      ", ".join(["permessage-deflate; server_max_window_bits=7"] * 100))
    },
}  # fmt: skip


@pytest.mark.parametrize("row", ACCEPTED)
def test_an_unusual_handshake_is_accepted_or_refused_and_never_our_fault(gateway, row):
    with Wire(gateway) as wire:
        wire.send(ACCEPTED[row])
        answer = wire.answer()
        if row.startswith(("C07", "C10")):
            assert answer.status in (101, 400)
        else:
            assert answer.status == 101
        if answer.status == 101 and row.startswith("C10"):
            spoken = answer.fields.get("sec-websocket-protocol")
            assert spoken == ("pollstream.v1" if "pollstream.v1" in row else None)
        if row.startswith("C11"):
            assert "sec-websocket-extensions" not in answer.fields


def test_the_accept_key_is_that_of_the_specification(gateway):
    with Wire(gateway) as wire:
        wire.send(upgrade("/ws/", key=GOOD_KEY))
        answer = wire.answer()
        assert answer.status == 101
        assert answer.fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert answer.fields["upgrade"].lower() == "websocket"
        assert answer.fields["connection"].lower() == "upgrade"


def test_http_behind_the_switch_is_a_protocol_error(gateway, poll):
    with Wire(gateway) as wire:
        wire.send(upgrade("/ws/") + ballot(poll, "behind the switch"))
        assert wire.answer().status == 101
        assert wire.close_code() == 1002
    assert gateway.results(poll)["total"] == 0


def test_a_handshake_byte_by_byte_is_one_handshake(gateway):  # C15
    with Wire(gateway) as wire:
        for byte in upgrade("/ws/") + frame(TEXT, b'{"type":"ping"}'):
            wire.send(bytes([byte]))
        assert wire.answer().status == 101
        assert wire.take_message() == {"type": "pong"}


def test_a_second_handshake_behind_the_switch_is_a_protocol_error(gateway):  # C20
    with Wire(gateway) as wire:
        wire.send(upgrade("/ws/") * 2)
        assert wire.answer().status == 101
        assert wire.close_code() == 1002
        assert wire.rest() == b""


def test_a_token_in_the_url_reaches_no_log(start_gateway):  # C21
    gateway = start_gateway("--log-level", "debug")
    secret = "psv_secret-in-the-url"
    for path in (f"/ws/?token={secret}", f"/polls/999/?token={secret}", f"/nowhere?t={secret}"):
        with Wire(gateway) as wire:
            wire.send(upgrade(path) if path.startswith("/ws/") else get(path))
            wire.answer()
    gateway.stop()
    assert secret not in gateway.log_text(2000)


def test_a_hundred_handshakes_at_once_all_succeed(gateway, poll):
    wires = [Wire(gateway) for _ in range(100)]
    for wire in wires:
        wire.send(upgrade(f"/ws/polls/{poll.id}/"))
    for wire in wires:
        assert wire.answer().status == 101
        assert wire.take_message()["type"] == "snapshot"
        wire.reset()
    assert gateway.vote(poll, 0, "ada").status_code == 201

"""WebSocket framing (RFC 6455, sections 5 to 8), row by row its close code: BAD_INPUT section D."""

import contextlib
import random
import struct
import time

import pytest

import faults
from gateway import limits
from wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Wire,
    close_frame,
    frame,
    text,
)  # fmt: skip

# The store makes no difference.
pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def gateway(start_module_gateway):
    return start_module_gateway("--ws-echo")


@pytest.fixture
def echo(gateway):
    """A socket whose messages come back as they were."""
    with Wire(gateway) as wire:
        assert wire.handshake("/ws/echo/").status == 101
        yield wire


START = frame(TEXT, b"x", fin=False)

# After Markus Kuhn's decoder test: what never begins or never continues, what is cut, what is
# longer than it need be, surrogates, and what lies past U+10FFFF.
INVALID_UTF_8 = [
    *(bytes([octet]) for octet in (0x80, 0xBF, 0xC0, 0xC1, 0xF5, 0xF8, 0xFC, 0xFE, 0xFF)),
    b"\x80\xbf\x80", b"\xc3(", b"\xe2\x82", b"\xe2\x28\xa1", b"\xe2\x82\x28", b"\xf0\x9f\x8e",
    b"\xf0\x28\x8c\xbc", b"\xf0\x90\x28\xbc", b"\xf0\x28\x8c\x28", b"\xdf", b"\xef\xbf",
    b"\xf7\xbf\xbf", b"\xc0\xaf", b"\xc1\x81", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xe0\x9f\xbf",
    b"\xf0\x80\x80\xaf", b"\xf0\x8f\xbf\xbf", b"\xf8\x80\x80\x80\xaf", b"\xfc\x80\x80\x80\x80\xaf",
    b"\xc0\x80", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80",
    b"\xed\xaf\xbf", b"\xed\xb0\x80", b"\xed\xbf\xbf",
    b"\xed\xa0\x80\xed\xb0\x80", b"\xed\xaf\xbf\xed\xbf\xbf",
    b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf7\xbf\xbf\xbf", b"\xf8\x88\x80\x80\x80",
    b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf",
]  # fmt: skip


def cut_in_bytes(octets: bytes) -> bytes:
    """A text message in fragments of one byte."""
    pieces = [frame(CONTINUATION, octets[i : i + 1], fin=False) for i in range(1, len(octets) - 1)]
    return b"".join([frame(TEXT, octets[:1], fin=False), *pieces, frame(CONTINUATION, octets[-1:])])


BROKEN = {
    "D01 unmasked": (1002, frame(TEXT, b"x", masked=False)),
    "D01 unmasked ping": (1002, frame(PING, masked=False)),
    **{f"D02 RSV {bits}": (1002, frame(TEXT, b"x", reserved=bits)) for bits in (1, 2, 3, 4, 7)},
    **{f"D03 opcode {code}": (1002, frame(code)) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    **{f"D03 opcode {code} with payload": (1002, frame(code, b"x")) for code in (3, 7, 11, 15)},
    "D04 fragmented ping": (1002, frame(PING, b"x", fin=False)),
    "D04 fragmented pong": (1002, frame(PONG, b"x", fin=False)),
    "D04 fragmented close": (1002, frame(CLOSE, b"\x03\xe8", fin=False)),
    "D04 long ping": (1002, frame(PING, b"x" * 126)),
    "D04 long close": (1002, frame(CLOSE, b"\x03\xe8" + b"x" * 124)),
    "D05 ping of 126 bytes inside a message": (1002, START + frame(PING, b"x" * 126)),
    "D05 ping whose length takes 8 bytes": (1002, frame(PING, b"x" * 65536)),
    "D06 continuation of nothing": (1002, frame(CONTINUATION, b"x")),
    "D06 unfinished continuation of nothing": (1002, frame(CONTINUATION, b"x", fin=False)),
    "D06 continuation of a finished message": (1002, START + frame(CONTINUATION, b"y")
                                              + frame(CONTINUATION, b"z")),
    "D07 text inside a message": (1002, START + frame(TEXT, b"y")),
    "D07 binary inside a message": (1002, START + frame(BINARY, b"y", fin=False)),
    "D08 126-form of 5": (1002, frame(TEXT, b"12345", length_form=126)),
    "D08 127-form of 5": (1002, frame(TEXT, b"12345", length_form=127)),
    "D08 127-form of 200": (1002, frame(TEXT, b"x" * 200, length_form=127)),
    "D09 top bit of the length": (1002, frame(TEXT, announced=1 << 63, length_form=127)),
    "D10 126-form of 125": (1002, frame(TEXT, b"x" * 125, length_form=126)),
    "D10 127-form of 65535": (1002, frame(TEXT, b"x" * 65535, length_form=127)),
    "D11 one byte past the limit": (1009, frame(TEXT, b"x" * (65536 + 1))),
    "D11 a terabyte announced": (1009, frame(TEXT, announced=1 << 40, length_form=127)),
    "D12 fragments past the limit": (1009, frame(TEXT, b"x" * 40000, fin=False)
                                    + frame(CONTINUATION, b"x" * 40000)),
    "D13 empty fragments without end": (1008, frame(TEXT, fin=False)
                                       + frame(CONTINUATION, fin=False) * 1000),
    "D14 one-byte fragments without end": (1008, START
                                          + frame(CONTINUATION, b"x", fin=False) * 1000),
    **{
        f"D16 invalid UTF-8 {octets.hex()}": (1007, frame(TEXT, b"ok " + octets))
        for octets in INVALID_UTF_8
    },
    **{
        f"D17 invalid UTF-8 {octets.hex()} cut": (1007, cut_in_bytes(b"ok " + octets + b"!"))
        for octets in INVALID_UTF_8
    },
    "D17 invalid across fragments": (1007, frame(TEXT, b"\xe2\x82", fin=False)
                                    + frame(CONTINUATION, b"x")),
    "D15 invalid behind a ping": (1007, frame(TEXT, b"\xe2\x82", fin=False) + frame(PING)
                                 + frame(CONTINUATION, b"x")),
    "D17 invalid before the end": (1007, frame(TEXT, b"\xff", fin=False)
                                  + frame(CONTINUATION, b"x")),
    "D18 cut at the end": (1007, frame(TEXT, b"\xe2", fin=False) + frame(CONTINUATION, b"\x82")),
    "D26 close with one byte": (1002, frame(CLOSE, b"\x03")),
    **{
        f"D27 close with {code}": (1002, close_frame(code))
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    "D28 close reason not UTF-8": (1007, close_frame(1000, b"\xff")),
}  # fmt: skip


@pytest.mark.parametrize("row", BROKEN)
@pytest.mark.parametrize("path", ["/ws/", "/ws/echo/"])
def test_a_broken_frame_closes_the_socket_with_its_code(gateway, poll, row, path):
    code, data = BROKEN[row]
    vote = text({"type": "vote", "poll_id": poll.id, "option_ids": poll.options[:1], "voter": "v"})
    with Wire(gateway) as wire:
        assert wire.handshake(path).status == 101
        wire.send(data + vote)
        assert wire.close_code() == code
        wire.finish_sending()
        assert wire.rest() == b"", "something behind the close"
    assert gateway.results(poll)["total"] == 0


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013,
                                  1014, 3000, 3999, 4000, 4404, 4999])  # fmt: skip
def test_a_close_with_a_valid_code_comes_back(echo, code):
    echo.send(close_frame(code))
    assert echo.close_code() == code
    assert echo.rest() == b""


@pytest.mark.parametrize("reason", [b"", b"x" * 123, "zoë 🎉".encode()], ids=["", "long", "utf-8"])
def test_a_close_may_carry_a_reason(echo, reason):
    echo.send(close_frame(1000, reason))
    assert echo.close_code() == 1000
    assert echo.rest() == b""


def test_a_close_without_a_code_is_answered(echo):
    echo.send(frame(CLOSE))
    assert echo.close_code() in (1000, 1005)
    assert echo.rest() == b""


def test_two_closes_get_one_answer(echo):
    echo.send(close_frame(1000) + close_frame(1001) + frame(TEXT, b"late"))
    assert echo.close_code() == 1000
    assert echo.rest() == b""


def test_a_binary_message_is_refused_where_only_text_has_a_meaning(gateway):
    with Wire(gateway) as wire:
        wire.handshake("/ws/")
        wire.send(frame(BINARY, b"{}"))
        assert wire.close_code() == 1003


# What is allowed


@pytest.mark.parametrize("count", [0, 1, 125, 126, 127, 128, 65535, 65536])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_of_any_length_up_to_the_limit_comes_back(echo, opcode, count):
    payload = bytes(33 + n % 90 for n in range(count))
    echo.send(frame(opcode, payload))
    assert echo.take_frame() == (opcode, payload)


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x02\x03\x04"])
def test_any_mask_is_taken(echo, mask):
    echo.send(frame(TEXT, b"the same text", mask=mask))
    assert echo.take_frame() == (TEXT, b"the same text")


@pytest.mark.parametrize("count", [0, 1, 125])
def test_a_ping_comes_back_as_a_pong_also_between_fragments(echo, count):
    payload = bytes(range(count))
    echo.send(frame(PING, payload))
    assert echo.take_frame() == (PONG, payload)
    echo.send(START + frame(PING, payload) + frame(CONTINUATION, b"y"))
    assert [echo.take_frame() for _ in range(2)] == [(PONG, payload), (TEXT, b"xy")]


def test_an_unasked_pong_is_ignored(echo):
    echo.send(frame(PONG, b"nobody asked") + frame(TEXT, b"x"))
    assert echo.take_frame() == (TEXT, b"x")


def test_a_flood_of_pongs_is_ignored(echo):  # D25
    echo.send(frame(PONG, b"p" * 125) * 10_000 + frame(TEXT, b"x"))
    assert echo.take_frame() == (TEXT, b"x")


def test_pings_at_once_are_answered_by_the_newest_at_least(echo):
    echo.send(b"".join(frame(PING, b"%d" % n) for n in range(10)) + frame(TEXT, b"x"))
    pongs = []
    while (taken := echo.take_frame()) != (TEXT, b"x"):
        assert taken[0] == PONG
        pongs.append(int(taken[1]))
    assert pongs == sorted(pongs) and pongs[-1] == 9


def test_a_message_may_come_in_many_frames_and_those_in_pieces(echo):
    payload = bytes(33 + n % 90 for n in range(65536))
    pieces = [payload[i : i + 1300] for i in range(0, len(payload), 1300)]
    data = frame(TEXT, pieces[0], fin=False)
    data += b"".join(frame(CONTINUATION, piece, fin=False) for piece in pieces[1:-1])
    data += frame(CONTINUATION, pieces[-1])
    for i in range(0, len(data), 997):
        echo.send(data[i : i + 997])
    assert echo.take_frame() == (TEXT, payload)


def test_a_close_inside_a_message_ends_it(echo):
    echo.send(START + close_frame(1000) + frame(CONTINUATION, b"y"))
    assert echo.close_code() == 1000
    assert echo.rest() == b""


def test_nothing_is_answered_behind_the_close(echo):  # D40
    echo.send(close_frame(1000) + frame(PING, b"late") + frame(TEXT, b"late"))
    assert echo.take_frame()[0] == CLOSE
    assert echo.rest() == b""


def test_what_was_sent_before_the_close_is_answered_before_it(echo):
    payload = b"x" * 65536
    echo.send(frame(TEXT, payload) * 4 + close_frame(1000))
    assert [echo.take_frame() for _ in range(4)] == [(TEXT, payload)] * 4
    assert echo.close_code() == 1000


@pytest.mark.parametrize(
    "characters",
    ["κόσμε", "\ufeffbom", "a\0b", "\ud7ff\ue000", "\U0010ffff", "🎉" * 50, "\x7f\x80\u07ff\u0800",
     "\uffff\U00010000", "\ufffd\ufffe\uffff", "\U0001fffe\U0001ffff\U0010fffe", "\ufdd0\ufdef"],
)  # fmt: skip
def test_valid_utf_8_comes_back_however_it_is_cut(echo, characters):
    octets = characters.encode()
    pieces = [octets[i : i + 1] for i in range(len(octets))][:100]
    rest = octets[100:]
    echo.send(
        frame(TEXT, fin=False)
        + b"".join(frame(CONTINUATION, piece, fin=False) for piece in pieces)
        + frame(CONTINUATION, rest)
    )
    assert echo.take_frame() == (TEXT, octets)


def test_frames_byte_by_byte_are_the_same_frames(echo):
    for byte in START + frame(PING, b"p") + frame(CONTINUATION, b"y" * 130):
        echo.send(bytes([byte]))
    assert echo.take_frame() == (PONG, b"p")
    assert echo.take_frame() == (TEXT, b"x" + b"y" * 130)


def test_empty_fragments_up_to_the_limit_are_one_message(echo):
    echo.send(frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 126 + frame(CONTINUATION))
    assert echo.take_frame() == (TEXT, b"")


# Peers that behave badly in bulk


def test_a_flood_of_pings_is_answered_or_closed_and_costs_little(gateway):
    before = gateway.resident_bytes()
    with Wire(gateway) as wire:
        wire.handshake("/ws/")
        wire.send(frame(PING, b"p" * 125) * 20_000)
        wire.send(close_frame(1000))
        opcode = PONG
        while opcode == PONG:
            opcode, payload = wire.take_frame()
        assert opcode == CLOSE
        assert struct.unpack("!H", payload[:2])[0] in (1000, 1008)
    assert gateway.resident_bytes() - before < 32 << 20


def test_a_flood_of_pings_by_a_peer_that_does_not_read_costs_little(gateway):
    before = gateway.resident_bytes()
    with Wire(gateway, receive_buffer=4096) as wire:
        wire.handshake("/ws/")
        wire.socket.setblocking(False)
        flood = frame(PING, b"p" * 125) * 500
        try:
            for _ in range(400):
                wire.socket.send(flood)
        except (BlockingIOError, ConnectionError):
            pass
        assert gateway.get("/polls/").status_code == 200
        assert gateway.resident_bytes() - before < 32 << 20


def test_who_pings_and_takes_no_pong_is_closed(start_gateway):  # D24
    gateway = start_gateway(*limits(ping_period="500ms"))
    before = gateway.resident_bytes()
    with Wire(gateway, receive_buffer=4096) as wire:
        wire.handshake("/ws/")
        wire.socket.settimeout(0.1)
        flood = frame(PING, b"p" * 125) * 500
        deadline = time.monotonic() + 20
        while faults.limit_hits(gateway, "not-reading") == 0:
            assert time.monotonic() < deadline, "it is kept for ever"
            with contextlib.suppress(OSError):
                wire.socket.send(flood)
        assert gateway.resident_bytes() - before < 16 << 20


def test_a_million_empty_fragments_cost_their_own_socket_and_no_time(gateway):  # D13
    before, used = gateway.resident_bytes(), faults.cpu_seconds(gateway)
    data = frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 1_000_000
    with Wire(gateway) as wire:
        wire.handshake("/ws/")
        wire.send(data)
        # The close, where the flood behind it does not make the kernel reset the connection.
        rest = wire.rest()
        assert rest == b"" or rest.startswith(b"\x88") and rest[2:4] == b"\x03\xf0"
    assert gateway.resident_bytes() - before < 16 << 20
    assert faults.cpu_seconds(gateway) - used < 2
    assert gateway.get("/polls/").status_code == 200


def test_random_frames_cost_their_own_socket_at_most(gateway, poll):
    dice = random.Random(20261123)
    for _ in range(200):
        with Wire(gateway) as wire:
            wire.handshake("/ws/")
            for _ in range(dice.randint(1, 5)):
                wire.send(
                    frame(
                        dice.choice([TEXT, TEXT, PING, CONTINUATION, BINARY, CLOSE]),
                        dice.randbytes(dice.choice([0, 1, 2, 125, 126, 300])),
                        fin=dice.random() < 0.7,
                    )
                )
            wire.send(dice.randbytes(dice.randint(0, 40)))
    assert gateway.vote(poll, 0, "still here").status_code == 201


@pytest.mark.parametrize("way", ["FIN", "RST"])
def test_a_socket_that_goes_without_a_close_leaves_nothing_behind(gateway, poll, way):
    for _ in range(20):
        wire = Wire(gateway)
        wire.handshake(f"/ws/polls/{poll.id}/")
        wire.send(START)
        wire.finish_sending() if way == "FIN" else wire.reset()
        wire.socket.close()
    with Wire(gateway) as wire:
        wire.handshake(f"/ws/polls/{poll.id}/")
        message = wire.take_message()
        while message.get("viewers") != 1:
            message = wire.take_message()


@pytest.mark.parametrize(
    ("megabytes", "piece"), [(2, 64), pytest.param(16, 65_536, marks=pytest.mark.long)]
)
def test_megabytes_pass_where_the_limits_are_raised(start_gateway, megabytes, piece):  # D39
    size = megabytes << 20
    gateway = start_gateway(
        "--ws-echo", *limits(message=f"{megabytes}MiB", fragments=70_000, outbox=4 * size)
    )
    payload = bytes(33 + n % 90 for n in range(1 << 16)) * (size >> 16)
    pieces = [payload[i : i + piece] for i in range(0, len(payload), piece)]
    fragments = frame(TEXT, pieces[0], fin=False)
    fragments += b"".join(frame(CONTINUATION, piece, fin=False) for piece in pieces[1:-1])
    fragments += frame(CONTINUATION, pieces[-1])
    with Wire(gateway) as wire:
        wire.handshake("/ws/echo/")
        for message in (frame(TEXT, payload), fragments):
            wire.send(message)
            assert wire.take_frame() == (TEXT, payload)
        wire.send(frame(TEXT, announced=size + 1, length_form=127))
        assert wire.close_code() == 1009

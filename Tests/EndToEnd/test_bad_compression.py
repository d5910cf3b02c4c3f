"""Compressed messages (RFC 7692), offered, taken and spoilt: BAD_INPUT D34 to D37, and the rules of
Autobahn's sections 12 and 13."""

import random
import zlib

import pytest

from wire import BINARY, CONTINUATION, PING, PONG, TEXT, Wire, frame

PLAIN = "permessage-deflate"
# Offers that are taken, with the window that the client then may use.
OFFERS = {
    PLAIN: 15,
    f"{PLAIN}; client_no_context_takeover": 15,
    f"{PLAIN}; server_no_context_takeover": 15,
    f"{PLAIN}; client_no_context_takeover; server_no_context_takeover": 15,
    f"{PLAIN}; client_max_window_bits": 15,
    f"{PLAIN}; client_max_window_bits=9": 9,
    f"{PLAIN}; server_max_window_bits=9": 15,
    f"{PLAIN}; server_max_window_bits=15; client_max_window_bits=12": 12,
}
RSV1 = 4
TAIL = b"\x00\x00\xff\xff"


@pytest.fixture(scope="module")
def gateway(start_module_gateway):
    return start_module_gateway("--ws-echo", "--compress-above", "0")


def opened(wire: Wire, offer: str = PLAIN) -> dict[str, str | None]:
    """The parameters that were agreed."""
    answer = wire.handshake("/ws/echo/", f"Sec-WebSocket-Extensions: {offer}")
    assert answer.status == 101
    name, *parameters = answer.fields["sec-websocket-extensions"].replace(" ", "").split(";")
    assert name == PLAIN
    return {key: value or None for key, _, value in (p.partition("=") for p in parameters)}


def deflated(payload: bytes, bits: int = 15) -> bytes:
    """One message as its sender would compress it, without a context."""
    stream = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -bits)
    data = stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH)
    return data.removesuffix(TAIL)


def inflated(payload: bytes, bits: int = 15) -> bytes:
    return zlib.decompressobj(-bits).decompress(payload + TAIL)


def take_compressed(wire: Wire, bits: int = 15) -> tuple[int, bytes]:
    """As `Wire.take_frame`, of a frame that may be compressed."""
    first, second = wire.take(2)
    assert first & 0x80 and first & 0x30 == 0 and second & 0x80 == 0
    count = second
    if count >= 126:
        count = int.from_bytes(wire.take(2 if count == 126 else 8), "big")
    payload = wire.take(count)
    return first & 0x0F, inflated(payload, bits) if first & 0x40 else payload


def payloads():
    dice = random.Random(12)
    text = "Die Sonne tönt nach alter Weise in Brudersphären Wettgesang. ".encode()
    for count in (0, 1, 16, 64, 125, 126, 1024, 8192, 65535, 65536):
        yield f"text of {count}", TEXT, (text * (count // len(text) + 1))[:count].decode(
            errors="ignore").encode()  # fmt: skip
        # What cannot be compressed grows by a little, and has to fit as it is sent, too.
        yield f"noise of {count}", BINARY, dice.randbytes(min(count, 65_000))


@pytest.mark.parametrize("offer", OFFERS)
def test_messages_come_back_whatever_was_agreed(gateway, offer):
    with Wire(gateway) as wire:
        agreed = opened(wire, offer)
        assert "server_no_context_takeover" in agreed
        bits = int(agreed.get("server_max_window_bits") or 15)
        for name, opcode, payload in payloads():
            compressed = deflated(payload, OFFERS[offer])
            for fragment in (len(compressed) or 1, 1300):
                wire.send(in_fragments(opcode, compressed, fragment))
                assert take_compressed(wire, bits) == (opcode, payload), name


def in_fragments(opcode: int, payload: bytes, size: int) -> bytes:
    pieces = [payload[i : i + size] for i in range(0, len(payload), size)] or [b""]
    last = len(pieces) - 1
    return b"".join(
        frame(CONTINUATION if n else opcode, piece, fin=n == last, reserved=0 if n else RSV1)
        for n, piece in enumerate(pieces)
    )


def test_plain_messages_pass_beside_compressed_ones(gateway):
    with Wire(gateway) as wire:
        opened(wire)
        wire.send(frame(TEXT, b"plain") + frame(TEXT, deflated(b"small"), reserved=RSV1))
        assert take_compressed(wire) == (TEXT, b"plain")
        assert take_compressed(wire) == (TEXT, b"small")


BOMB = deflated(bytes(64 << 20))
HALF = deflated("Größe".encode())[:3]
BROKEN = {
    "D02 RSV1 on a ping": (1002, frame(PING, deflated(b"x"), reserved=RSV1)),
    "D02 RSV1 on a continuation": (1002, frame(TEXT, b"x", fin=False)
                                   + frame(CONTINUATION, b"y", reserved=RSV1)),
    "D02 RSV2 beside RSV1": (1002, frame(TEXT, deflated(b"x"), reserved=RSV1 | 2)),
    "D34 64 MiB out of 64 KiB": (1009, frame(TEXT, BOMB, reserved=RSV1)),
    "D34 a bomb in fragments": (1009, in_fragments(TEXT, BOMB, 1000)),
    "D35 no deflate at all": ((1002, 1007), frame(TEXT, b"\xff\xff\xff\xff", reserved=RSV1)),
    "D35 a reserved block": ((1002, 1007), frame(TEXT, b"\x07", reserved=RSV1)),
    "D35 a stored block that lies": ((1002, 1007), frame(TEXT, b"\x00\x05\x00\x00\x00abcde",
                                                        reserved=RSV1)),
    "D35 a distance before the beginning": ((1002, 1007), frame(
        TEXT, zlib.compressobj(9, zlib.DEFLATED, -15, 9, 0, b"dictionary").compress(b"")
        + bytes.fromhex("4b4c4c044200"), reserved=RSV1)),
    "D16 not UTF-8 when inflated": (1007, frame(TEXT, deflated(b"ok \xff"), reserved=RSV1)),
}  # fmt: skip


@pytest.mark.parametrize("row", BROKEN)
def test_a_spoilt_message_closes_the_socket_with_its_code(gateway, row):
    codes, data = BROKEN[row]
    before = gateway.resident_bytes()
    with Wire(gateway) as wire:
        opened(wire)
        wire.send(data)
        assert wire.close_code() in ((codes,) if isinstance(codes, int) else codes)
    assert gateway.resident_bytes() - before < 16 << 20
    assert gateway.get("/polls/").status_code == 200


def test_a_context_that_was_given_up_is_not_there(gateway):  # D36
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    text = random.Random(36).randbytes(200).hex().encode()
    first, second = (
        (stream.compress(text) + stream.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)
        for _ in range(2)
    )
    assert len(second) < 20, "the second message leans on the first"
    with Wire(gateway) as wire:
        assert "client_no_context_takeover" in opened(wire)
        wire.send(frame(TEXT, first, reserved=RSV1))
        assert take_compressed(wire) == (TEXT, text)
        wire.send(frame(TEXT, second, reserved=RSV1))
        assert wire.close_code() in (1002, 1007)


@pytest.mark.parametrize("offer", [offer for offer in OFFERS if "client_max" in offer])
def test_no_window_of_a_client_is_ever_too_large(gateway, offer):  # D36
    """None is agreed on, whatever it offers, so that it may use the largest."""
    half = random.Random(37).randbytes(2_000).hex().encode()
    text = half + half  # the second half leans on what is 4,000 bytes back
    with Wire(gateway) as wire:
        agreed = opened(wire, offer)
        assert "client_max_window_bits" not in agreed
        wire.send(frame(TEXT, deflated(text), reserved=RSV1))
        bits = int(agreed.get("server_max_window_bits") or 15)
        assert take_compressed(wire, bits) == (TEXT, text)


def test_a_compressed_message_takes_pings_between_its_fragments(gateway):
    with Wire(gateway) as wire:
        opened(wire)
        data = deflated(b"between" * 100)
        wire.send(frame(TEXT, data[:5], fin=False, reserved=RSV1) + frame(PING, b"p"))
        wire.send(frame(CONTINUATION, data[5:]))
        assert take_compressed(wire) == (PONG, b"p")
        assert take_compressed(wire) == (TEXT, b"between" * 100)


def test_random_bytes_that_say_to_be_compressed_cost_their_own_socket(gateway, poll):
    dice = random.Random(20261125)
    for _ in range(200):
        with Wire(gateway) as wire:
            opened(wire)
            for _ in range(dice.randint(1, 4)):
                data = bytearray(deflated(dice.randbytes(dice.randint(0, 300))))
                for _ in range(dice.randint(0, 3)):
                    if data:
                        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
                wire.send(frame(dice.choice([TEXT, BINARY]), bytes(data), reserved=RSV1,
                                fin=dice.random() < 0.8))  # fmt: skip
    assert gateway.vote(poll, 0, "still here").status_code == 201

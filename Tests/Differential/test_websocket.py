"""CWire's WebSocket codec against the `websockets` library: both take the same streams of frames,
mutated, and must take the same frames and end with the same close code.

Deliberate exceptions, where the two differ:
  - a length that is not in its shortest form: ours refuses it (RFC 6455 section 5.2 demands it);
  - Close inside a fragmented message: ours answers it (section 5.4 lets control frames in there);
  - a Close with a bad code and a bad reason: ours names the code (1002), theirs the reason (1007);
  - a control frame inside a message that has used up its size: theirs counts it too;
  - a frame that breaks two rules: each names the one it looks at first.
"""

import base64
import codecs
import os
import random
import struct
from pathlib import Path

import pytest
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.utils import accept_key

from cwire import Codec, Story

MESSAGE_BYTES = 300
STREAMS = int(os.environ.get("STREAMS", "20000"))
# Cut streams go on with zeros until every frame is whole, so that both come to a verdict.
PADDING = bytes(MESSAGE_BYTES + 20)


@pytest.fixture(scope="session")
def codec():
    return Codec(Path(os.environ["CWIRE_LIBRARY"]))


@pytest.fixture
def seeded():
    seed = int(os.environ.get("SEED", random.getrandbits(32)))
    print(f"seed {seed}")
    return random.Random(seed)


def decodes(decoder, data, final):
    try:
        decoder.decode(data, final=final)
    except UnicodeDecodeError:
        return False
    # Python keeps the first two bytes of a surrogate back, as if a third could make them right.
    pending = decoder.getstate()[0]
    return not (len(pending) == 2 and pending[0] == 0xED and pending[1] >= 0xA0)


def take_theirs(stream):
    """The same story by `websockets`. It leaves text to its caller, so it is decoded here."""
    protocol = ServerProtocol(state=OPEN, max_size=MESSAGE_BYTES)
    protocol.receive_data(stream)
    story = Story()
    decoder = None
    for frame in protocol.events_received():
        if frame.opcode is Opcode.CLOSE:
            code = Close.parse(frame.data).code
            story.code = 1000 if code == 1005 else code
            return story
        if frame.opcode is Opcode.TEXT:
            decoder = codecs.getincrementaldecoder("utf-8")()
        elif frame.opcode is Opcode.BINARY:
            decoder = None
        if decoder is not None and frame.opcode in (Opcode.TEXT, Opcode.CONT):
            if not decodes(decoder, bytes(frame.data), frame.fin):
                story.code, story.failed = 1007, True
                return story
        story.frames.append((int(frame.opcode), frame.fin, bytes(frame.data)))
    if protocol.parser_exc is not None:
        story.code, story.failed = protocol.close_sent.code, True
    return story


def has_padded_length(frame):
    length = frame[1] & 0x7F
    if length == 126:
        return struct.unpack("!H", frame[2:4])[0] < 126
    return length == 127 and (struct.unpack("!Q", frame[2:10])[0] < 65536 or frame[2] >= 0x80)


def is_inside_message(frames):
    data = [frame for frame in frames if frame[0] < 8]
    return bool(data) and not data[-1][1]


def exception(ours, theirs):
    """Which of the deliberate exceptions explains the difference, if one does."""
    if theirs.frames == ours.frames[: len(theirs.frames)] and theirs.code == 1009:
        rest = ours.frames[len(theirs.frames) :]
        opcode = rest[0][0] if rest else ours.last[0] & 0x0F
        if opcode >= 8 and is_inside_message(theirs.frames):
            return "control frame counted"
    if ours.frames != theirs.frames[: len(ours.frames)]:
        return None
    if ours.failed and ours.code == 1002 and has_padded_length(ours.last):
        return "padded length"
    if ours.frames != theirs.frames:
        return None
    if not ours.failed and ours.code is not None and theirs.code == 1002:
        return "close inside a message" if is_inside_message(ours.frames) else None
    if ours.failed and theirs.failed:
        opcode = ours.last[0] & 0x0F
        if opcode == 8 and (ours.code, theirs.code) == (1002, 1007):
            return "bad code and bad reason"
        if (ours.code, theirs.code) == (1002, 1009):
            return "malformed and too large"
    return None


def masked(opcode, payload, fin, rng):
    is_valid = opcode < 8 or len(payload) <= 125
    if is_valid and rng.random() < 0.8:
        return Frame(Opcode(opcode), payload, fin).serialize(mask=True)
    return unusual(opcode, payload, fin, rng)


def unusual(opcode, payload, fin, rng):
    """A frame with a mask of our choice, and its length in any of the forms that can hold it."""
    shortest = 0 if len(payload) < 126 else 2
    form = shortest if rng.random() < 0.8 else rng.choice([2, 8])
    length = {0: len(payload), 2: 126, 8: 127}[form]
    mask = rng.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\1\2\3\4"])
    head = bytes([fin << 7 | opcode, 0x80 | length])
    head += len(payload).to_bytes(form, "big") if form else b""
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


GOOD = [b"", b"a", b"plain text", "κόσμε 🎉".encode(), b"\0", b"x" * 125, b"x" * 126]

ODD = [
    "🎉".encode()[:2], "🎉".encode()[2:], b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80",
    b"\xff", b"x" * 299, b"x" * 300, b"x" * 301,
]  # fmt: skip

CLOSES = [b"", b"\3", b"\3\xe8", b"\3\xe9bye", b"\3\xe8\xff", b"\0\0\xff"] + [
    struct.pack("!H", code)
    for code in (0, 999, 1000, 1003, 1004, 1005, 1006, 1007, 1011, 1012, 1014, 1015, 1016,
                 2999, 3000, 4999, 5000, 65535)
]  # fmt: skip


def random_payload(rng):
    kind = rng.random()
    if kind < 0.05:
        return rng.randbytes(rng.randint(0, 20))
    return rng.choice(ODD if kind < 0.15 else GOOD)


def random_stream(rng):
    frames = []
    is_open = False
    for _ in range(rng.randint(1, 6)):
        kind = rng.random()
        if kind < 0.2:
            frames.append(masked(rng.choice([9, 10]), random_payload(rng), True, rng))
        elif kind < 0.23:
            frames.append(masked(8, rng.choice(CLOSES), True, rng))
        else:
            goes_on = is_open if rng.random() < 0.95 else not is_open
            fin = rng.random() < 0.6
            opcode = 0 if goes_on else rng.choice([1, 1, 2])
            frames.append(masked(opcode, random_payload(rng), fin, rng))
            is_open = not fin
    if is_open and rng.random() < 0.8:
        frames.append(masked(0, b"", True, rng))
    return b"".join(frames) + masked(8, b"\3\xe8", True, rng)


def mutated(stream, rng):
    stream = bytearray(stream)
    for _ in range(rng.choice([0, 0, 1, 2, 3])):
        at = rng.randrange(len(stream))
        kind = rng.randrange(5)
        if kind == 0:
            stream[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            stream[at] = rng.randrange(256)
        elif kind == 2:
            stream.insert(at, rng.randrange(256))
        elif kind == 3 and len(stream) > 1:
            del stream[at]
        else:
            del stream[at + 1 :]
    return bytes(stream)


def test_mutated_streams_are_taken_alike(codec, seeded):
    alike = failed = 0
    explained = {}
    for _ in range(STREAMS):
        stream = mutated(random_stream(seeded), seeded) + PADDING
        ours, theirs = codec.take(stream, MESSAGE_BYTES), take_theirs(stream)
        if (ours.frames, ours.code, ours.failed) == (theirs.frames, theirs.code, theirs.failed):
            alike += 1
            failed += ours.failed
            continue
        reason = exception(ours, theirs)
        ends = f"ours {len(ours.frames)} frames, {ours.code}; "
        ends += f"theirs {len(theirs.frames)}, {theirs.code}"
        assert reason, f"{ends}: {stream.hex()}"
        explained[reason] = explained.get(reason, 0) + 1
    print(f"websocket: {alike} streams alike, {failed} of them refused, exceptions {explained}")
    assert alike > STREAMS * 0.7 and alike - failed > STREAMS * 0.1


@pytest.mark.parametrize("code", [*range(990, 1030), *range(2990, 3010), *range(4990, 5010)])
def test_close_codes_are_taken_alike(codec, code):
    stream = Frame(Opcode.CLOSE, struct.pack("!H", code)).serialize(mask=True)
    ours, theirs = codec.take(stream, MESSAGE_BYTES), take_theirs(stream)
    assert (ours.code, ours.failed) == (theirs.code, theirs.failed)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536])
def test_our_frames_are_theirs(codec, size):
    payload = bytes(size)
    expected = Frame(Opcode.BINARY, payload).serialize(mask=False)
    assert codec.server_frame(2, payload) == expected


def test_accept_keys_are_theirs(codec, seeded):
    for _ in range(500):
        key = base64.b64encode(seeded.randbytes(16))
        assert codec.accept_key(key).decode() == accept_key(key.decode())

"""Bytes, changed at random. The same `Random` in the same state changes them the same way."""

from random import Random

# What parsers decide by, and what lies at the border of what they take.
TOKENS = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b":", b",", b";", b"?", b"#", b"%", b"\0",
    b"\xff", b"\x80", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\xc0\xaf", b"\xef\xbb\xbf", b"\x7f", b"{",
    b"}", b"[", b"]", b'"', b"\\", b"\\u0000", b"\\ud800", b"\\u00e9", b"[" * 40, b'{"a":' * 40,
    b"true", b"null", b"-1", b"0", b"1.0", b"1e999", b"9223372036854775807", b"9223372036854775808",
    b"18446744073709551616", b"140737488355327", b"4294967296", b"00", b"+1", b"0x10",
    b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Content-Length: 99999999999\r\n",
    b"Host: other\r\n", b"Upgrade: websocket\r\n", b"Sec-WebSocket-Version: 8\r\n", b" folded\r\n",
    b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"HTTP/1.0", b"HTTP/2.0", b"GET ",
    b"HEAD ", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", b"\r\n\r\n\0\r\nQUIT\n", b"%00", b"%2e%2e/",
    b"/../", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x88\x82\0\0\0\0\x03\xe8", b"\x81\xfe\xff\xff",
    b"\xff" * 8, b"poll_id", b"option_ids", b"type", b"subscribe", b"voter", b"a" * 300,
    b"a" * 9_000, b"\xf0\x9f\x98\x80" * 60,
]  # fmt: skip


def mutated(data: bytes, random: Random) -> bytes:
    """`data` with one to three changes, 96 KiB at most."""
    for _ in range(random.choice((1, 1, 2, 3))):
        data = random.choice(CHANGES)(data, random)
    return data[: 96 << 10]


def _slice(data: bytes, random: Random) -> tuple[int, int]:
    start = random.randint(0, len(data))
    return start, min(len(data), start + random.choice((1, 2, 4, 8, 32, 200)))


def _flip(data: bytes, random: Random) -> bytes:
    if not data:
        return data
    place = random.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]


def _set(data: bytes, random: Random) -> bytes:
    start, _ = _slice(data, random)
    return data[:start] + random.randbytes(random.choice((1, 1, 2, 4))) + data[start + 1 :]


def _insert(data: bytes, random: Random) -> bytes:
    start, _ = _slice(data, random)
    return data[:start] + random.choice(TOKENS) + data[start:]


def _replace(data: bytes, random: Random) -> bytes:
    start, end = _slice(data, random)
    return data[:start] + random.choice(TOKENS) + data[end:]


def _remove(data: bytes, random: Random) -> bytes:
    start, end = _slice(data, random)
    return data[:start] + data[end:]


def _repeat(data: bytes, random: Random) -> bytes:
    start, end = _slice(data, random)
    return data[:end] + data[start:end] * random.choice((1, 1, 2, 8, 200)) + data[end:]


def _swap_number(data: bytes, random: Random) -> bytes:
    """Another number where the data has one: lengths, ids, revisions."""
    places = [place for place, byte in enumerate(data) if 0x30 <= byte <= 0x39]
    if not places:
        return _flip(data, random)
    start = end = random.choice(places)
    while end < len(data) and 0x30 <= data[end] <= 0x39:
        end += 1
    number = random.choice((b"0", b"-1", b"1", b"255", b"65536", b"1" * 19, b"9" * 40, b"1.5", b""))
    return data[:start] + number + data[end:]


def _move(data: bytes, random: Random) -> bytes:
    start, end = _slice(data, random)
    rest = data[:start] + data[end:]
    place = random.randint(0, len(rest))
    return rest[:place] + data[start:end] + rest[place:]


CHANGES = (_flip, _flip, _set, _insert, _replace, _remove, _repeat, _swap_number, _move)

"""What the worst input costs a gateway: CPU of a request or message of 100 and of 200 KiB that
is made to be slow to read. Twice the bytes should take twice the time: 2.0 is linear. Both are more
than the 64 KiB of one read, below which a message of fragments takes a third of the time.

python3 worst_input.py POLLSTREAM [--rounds N] [--kib N]

Limits are raised, so that inputs get far; with the defaults heads end at 16 KiB, bodies and
messages at 64. CPU is time that the gateway's threads ran; the client's is not in it. Ends with 1
where an input takes 3.5 times as long for twice the bytes, or longer: 4 is the square."""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Tests" / "EndToEnd"))

from gateway import Gateway, limits  # noqa: E402
from tls_cost import cpu_seconds  # noqa: E402
from wire import (  # noqa: E402
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Wire,
    frame,
    get,
    request,
    upgrade,
)

COSTLY_GROWTH = 3.5
SECONDS_EACH = 0.15


def body(text: str | bytes, path="/votes/", *fields: str) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return request(
        f"POST {path} HTTP/1.1", "Content-Type: application/json", f"Content-Length: {len(data)}",
        *fields, body=data,
    )  # fmt: skip


def repeated(piece: str, size: int) -> str:
    return piece * (size // len(piece))


def listed(piece, size: int, separator: str = ",") -> str:
    """Pieces, made by their number, until they fill `size` bytes."""
    parts, length = [], 0
    while length < size:
        parts.append(piece(len(parts)))
        length += len(parts[-1]) + len(separator)
    return separator.join(parts)


def chunked(size: int) -> bytes:
    """As small as they may be for a body of this size."""
    data = b"20\r\n" + b" " * 32 + b"\r\n"
    return request(
        "POST /votes/ HTTP/1.1", "Content-Type: application/json", "Transfer-Encoding: chunked",
        body=data * (size // len(data)) + b"0\r\n\r\n",
    )  # fmt: skip


def voting(name: str, value: str) -> bytes:
    """With a field that says who votes, or how."""
    return body('{"poll_id":7,"option_id":7,"voter":"v"}', "/votes/", f"{name}: {value}")


# By name: what a size makes a request of.
REQUESTS = {
    "brackets without end": lambda size: body("[" * size),
    "brackets that close": lambda size: body(
        "[" + listed(lambda _: "[" * 30 + "]" * 30, size) + "]"),
    "members, all different": lambda size: body(
        "{" + listed(lambda n: f'"{n:x}":0', size) + "}"),
    "members that differ at their end": lambda size: body(
        "{" + listed(lambda n: f'"{"k" * 40}{n:x}":0', size) + "}"),
    "members, one twice, escaped": lambda size: body(
        "{" + listed(lambda n: f'"{n:x}":0', size) + ',"\\u0030":0}'),
    "a name of escapes": lambda size: body('{"voter":"' + repeated("\\ud83d\\ude00", size) + '"}'),
    "a title of combining marks": lambda size: body(
        '{"title":"e' + repeated("\u0301", size // 2) + '","options":["a","b"]}', "/polls/"),
    "a number of digits": lambda size: body('{"poll_id":' + "9" * size + "}"),
    "option ids": lambda size: body(
        '{"poll_id":1,"option_ids":[' + listed(str, size) + "]}"),
    "options of a poll": lambda size: body(
        '{"title":"t","options":[' + listed(lambda n: f'"{n}"', size) + "]}", "/polls/"),
    "chunks": chunked,
    "escapes in a path": lambda size: get("/" + repeated("%41", size)),
    "segments of a path": lambda size: get("/polls" + repeated("/1", size)),
    "parameters of a query": lambda size: get("/polls/?" + listed(lambda n: f"a{n}=1", size, "&")),
    "one parameter, again": lambda size: get("/polls/?" + listed(lambda n: "page=1", size, "&")),
    "cookies": lambda size: voting("Cookie", listed(lambda n: f"a{n}=b", size, "; ")),
    "voter cookies": lambda size: voting(
        "Cookie", listed(lambda n: f"pollstream_voter=psv_{n:043}", size, "; ")),
    "hops of X-Forwarded-For": lambda size: voting(
        "X-Forwarded-For", listed(lambda n: "127.0.0.1", size, ", ")),
    "fields, as many as there may be": lambda size: get(
        "/", *(f"a{n}: " + "b" * (size // 110) for n in range(90))),
    "codings": lambda size: get("/", "Accept-Encoding: " + listed(lambda n: f"a{n};q=0.1", size)),
    "tags": lambda size: get("/", "If-None-Match: " + listed(lambda n: f'"{n}"', size)),
    "preferences": lambda size: voting("Prefer", listed(lambda n: f"a{n}=1", size)),
    "a bearer's token": lambda size: voting("Authorization", "Bearer " + "a." * (size // 2)),
    "subprotocols": lambda size: upgrade(
        "/ws/", "Sec-WebSocket-Protocol: " + listed(lambda n: f"bearer.{n}", size, ", ")),
    "extensions": lambda size: upgrade(
        "/ws/", "Sec-WebSocket-Extensions: "
        + listed(lambda n: "permessage-deflate; client_max_window_bits=99", size, ", ")),
}  # fmt: skip


def message(text: str) -> bytes:
    return frame(TEXT, text.encode())


def random_text(size: int) -> bytes:
    """Of letters that take three bits each."""
    return bytes(random.Random(1).choices(b"abcdefgh", k=size * 8 // 3))


# By name: what a size makes frames of.
MESSAGES = {
    "text of four bytes a character": lambda size: message("\U0001f600" * (size // 4)),
    "unsubscribing": lambda size: message(
        '{"type":"unsubscribe","poll_ids":[' + listed(lambda n: str(n + 1), size) + "]}"),
    "subscribing to what is not there": lambda size: message(
        '{"type":"subscribe","poll_ids":[' + listed(lambda n: str(n + 10**6), size) + "]}"),
    "a type of escapes": lambda size: message('{"type":"' + repeated("\\u0041", size) + '"}'),
    "compressed to that size": lambda size: frame(TEXT, deflated(random_text(size)), reserved=4),
    "fragments": lambda size: b"".join(
        frame(CONTINUATION if n else TEXT, b"x" * (size // 100), fin=n == 99) for n in range(100)),
}  # fmt: skip


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Requester:
    """One request after another, on as many connections as their answers leave."""

    def __init__(self, gateway):
        self.gateway, self.wire, self.outcome = gateway, None, ""

    def send(self, data: bytes):
        self.wire = self.wire or Wire(self.gateway)
        self.wire.send(data)
        answer = self.wire.answer()
        self.outcome = str(answer.status)
        if answer.fields.get("connection") == "close" or answer.status == 101:
            self.close()

    def close(self):
        if self.wire is not None:
            self.wire.socket.close()
            self.wire = None


class Messenger:
    """One message after another, each with a ping behind it whose pong says that it was read."""

    def __init__(self, gateway):
        self.gateway, self.wire, self.outcome = gateway, None, ""

    def send(self, data: bytes):
        if self.wire is None:
            self.wire = Wire(self.gateway)
            self.wire.send(upgrade("/ws/", "Sec-WebSocket-Extensions: permessage-deflate"))
            assert self.wire.answer().status == 101
        self.wire.send(data + frame(PING))
        while True:
            opcode, payload = self.wire.take_frame()
            if opcode == TEXT:
                self.outcome = json.loads(payload).get("code", "answered")
            elif opcode == CLOSE:
                self.outcome = f"close {int.from_bytes(payload[:2], 'big')}"
                self.close()
                return
            elif opcode == PONG:
                return

    close = Requester.close


def cpu_of(gateway, sender, data: bytes) -> float:
    """Microseconds of the gateway's CPU for one."""
    count, spent = 0, 0.0
    sender.send(data)
    before = cpu_seconds(gateway)
    while spent < SECONDS_EACH and count < 2_000:
        sender.send(data)
        count += 1
        if count % 8 == 0:
            spent = cpu_seconds(gateway) - before
    return (cpu_seconds(gateway) - before) / count * 1e6


def measure(gateway, name: str, make, sender, options) -> bool:
    small, large = make(options.kib << 9), make(options.kib << 10)
    pairs = [
        (cpu_of(gateway, sender, small), cpu_of(gateway, sender, large))
        for _ in range(options.rounds)
    ]
    sender.close()
    growth = statistics.median(b / a for a, b in pairs)
    first, second = (statistics.median(column) for column in zip(*pairs, strict=True))
    per_byte = second * 1e3 / len(large)
    print(f"| {name} | {sender.outcome} | {first:,.0f} | {second:,.0f} | {growth:.2f} "
          f"| {per_byte:.1f} |", flush=True)  # fmt: skip
    return growth <= COSTLY_GROWTH


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("pollstream")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kib", type=int, default=200, help="of the larger input")
    options = parser.parse_args()
    os.environ["POLLSTREAM_BINARY"] = options.pollstream
    room = f"{4 * options.kib}KiB"
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(
            Path(folder),
            *limits(request_line=room, head=room, body=room, message=room),
            "--trusted-proxy", "127.0.0.1", "--loops", "1",
        ).start()  # fmt: skip
        try:
            print(f"| input | gets | µs for {options.kib // 2} KiB | µs for {options.kib} KiB "
                  "| growth | ns a byte |\n|---|---|---|---|---|---|")  # fmt: skip
            good = [
                measure(gateway, name, make, kind(gateway), options)
                for kind, inputs in ((Requester, REQUESTS), (Messenger, MESSAGES))
                for name, make in inputs.items()
            ]
        finally:
            gateway.stop()
    if not all(good):
        sys.exit(f"PROBLEM: {good.count(False)} of them grew faster than their bytes")


if __name__ == "__main__":
    main()

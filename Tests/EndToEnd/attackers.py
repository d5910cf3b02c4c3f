"""Peers that misbehave in bulk, in a process of their own so that they take nothing from the test:
`python attackers.py NAME PORT POLL COUNT` says `ready` once it does its worst, and goes on until
it is ended. Sockets of one attacker are few threads' work: what is slow costs it nothing."""

import contextlib
import selectors
import subprocess
import sys
import time
from pathlib import Path

from wire import CONTINUATION, PING, TEXT, Wire, frame, get, request, text, upgrade

FOLDER = Path(__file__).parent


class At:
    """What `Wire` needs to know of a gateway."""

    def __init__(self, port: int):
        self.address = ("127.0.0.1", port)


def sockets(at, count: int, first: bytes, receive_buffer=None) -> list[Wire]:
    wires = []
    for _ in range(count):
        wire = Wire(at, receive_buffer=receive_buffer)
        wire.send(first)
        wires.append(wire)
    return wires


def live_sockets(at, path: str, count: int, receive_buffer=None) -> list[Wire]:
    wires = sockets(at, count, upgrade(path), receive_buffer)
    for wire in wires:
        assert wire.answer().status == 101
    return wires


def ready():
    print("ready", flush=True)


def read_slowly(wires: list[Wire]):
    """Ten bytes a second of each."""
    ready()
    while True:
        time.sleep(1)
        for wire in wires:
            wire.socket.setblocking(False)
            with contextlib.suppress(OSError):
                wire.socket.recv(10)


def trickle(at, make, piece: bytes, seconds: float):
    """Sends `piece` on each connection every so often, and opens again those that were closed."""
    wires = make()
    ready()
    while True:
        began = time.monotonic()
        for index, wire in enumerate(wires):
            wire.socket.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                wire.ended = wire.ended or wire.socket.recv(1 << 16) == b""
            wire.send(piece)
            if wire.ended:
                wire.socket.close()
                wires[index : index + 1] = make(1)
        time.sleep(max(0, seconds - (time.monotonic() - began)))


def slow_heads(at, poll: int, count: int):
    """Heads that never end, a byte at a time."""
    trickle(at, lambda n=count: sockets(at, n, b"GET /polls/ HTTP/1.1\r\nX: "), b"x", 0.5)


def slow_bodies(at, poll: int, count: int):
    """Bodies that never end, a byte at a time."""
    head = request("POST /votes/ HTTP/1.1", "Content-Type: application/json",
                   "Content-Length: 60000", body=b'{"poll_id":')  # fmt: skip
    trickle(at, lambda n=count: sockets(at, n, head), b" ", 0.5)


def half_bodies(at, poll: int, count: int):
    """Bodies that lack their last byte, as large as may be: what they cost is memory."""
    head = request("POST /votes/ HTTP/1.1", "Content-Type: application/json",
                   "Content-Length: 65536", body=b" " * 65535)  # fmt: skip
    hold(at, lambda: sockets(at, count, head))


def half_messages(at, poll: int, count: int):
    """WebSocket messages that lack their last byte."""
    wires = live_sockets(at, "/ws/", count)
    for wire in wires:
        wire.send(frame(TEXT, b" " * 65535, announced=65536, length_form=127))
    hold(at, lambda: wires)


def hold(at, make):
    held = make()
    ready()
    while held:
        time.sleep(3600)


def slow_readers(at, poll: int, count: int):
    """Viewers who read ten bytes a second."""
    read_slowly(live_sockets(at, f"/ws/polls/{poll}/", count, receive_buffer=2048))


def slow_downloads(at, poll: int, count: int):
    """Clients who ask for much, many times over, and read ten bytes a second."""
    asked = get("/polls/?state=all&page_size=100") * 500
    read_slowly(sockets(at, count, asked, receive_buffer=2048))


def silent(at, poll: int, count: int):
    """Viewers who neither read nor answer pings."""
    hold(at, lambda: live_sockets(at, f"/ws/polls/{poll}/", count))


def flood(at, wires: list[Wire], data: bytes, reopen):
    """Sends `data` over and over, as fast as each connection takes it, reading what comes back."""
    selector = selectors.DefaultSelector()
    offsets = {}

    def add(wire):
        wire.socket.setblocking(False)
        offsets[wire] = 0
        selector.register(wire.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, wire)

    for wire in wires:
        add(wire)
    ready()
    while True:
        for key, events in selector.select():
            wire = key.data
            try:
                if events & selectors.EVENT_READ and not wire.socket.recv(1 << 18):
                    raise ConnectionResetError
                if events & selectors.EVENT_WRITE:
                    sent = wire.socket.send(memoryview(data)[offsets[wire] :])
                    offsets[wire] = (offsets[wire] + sent) % len(data)
            except BlockingIOError:
                continue
            except OSError:
                selector.unregister(wire.socket)
                wire.socket.close()
                with contextlib.suppress(OSError, AssertionError):
                    add(reopen())


def websocket_flood(at, path: str, count: int, data: bytes):
    wires = live_sockets(at, path, count)
    flood(at, wires, data, lambda: live_sockets(at, path, 1)[0])


def pings(at, poll: int, count: int):
    """As many pings as go through."""
    websocket_flood(at, f"/ws/polls/{poll}/", count, frame(PING, b"p" * 125) * 1000)


def fragments(at, poll: int, count: int):
    """Messages in fragments of one byte, just as many as are allowed."""
    message = frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"x", fin=False) * 120
    message += frame(CONTINUATION, b"x")
    websocket_flood(at, "/ws/", count, message * 50)


def subscriptions(at, poll: int, count: int):
    """Subscribing, to what is there and what is not, and unsubscribing, without end."""
    data = b"".join(
        text({"type": kind, "poll_ids": [poll, poll + number] if number % 2 else [poll]})
        for number in range(1, 200)
        for kind in ("subscribe", "unsubscribe")
    )
    websocket_flood(at, "/ws/", count, data)


def requests(at, poll: int, count: int):
    """As many requests as go through."""
    data = get("/polls/?state=all&page_size=100") * 20 + get(f"/polls/{poll}/") * 20
    flood(at, sockets(at, count, b""), data, lambda: sockets(at, 1, b"")[0])


def malformed(at, poll: int, count: int):
    """A malformed request on each of many short connections."""
    ready()
    while True:
        for _ in range(count):
            with contextlib.suppress(OSError), Wire(at) as wire:
                wire.send(b"GET / HTTP/1.1\nHost: x\n\n\x1b[31m")
                wire.rest(5)


def handshakes(at, poll: int, count: int):
    """Viewers who come, and go as soon as they are in."""
    ready()
    while True:
        wires = sockets(at, count, upgrade(f"/ws/polls/{poll}/"))
        for wire in wires:
            wire.reset()


# By how many connections each is done.
ATTACKS = {
    slow_heads: 300,
    slow_bodies: 300,
    slow_readers: 100,
    slow_downloads: 50,
    silent: 300,
    pings: 4,
    fragments: 4,
    subscriptions: 4,
    requests: 4,
    malformed: 20,
    handshakes: 50,
    half_bodies: 1500,
    half_messages: 1500,
}


@contextlib.contextmanager
def attacked(gateway, attack, poll, count: int):
    """`attack` goes on while this lasts."""
    command = [sys.executable, __file__, attack.__name__, gateway.address[1], poll.id, count]
    process = subprocess.Popen(
        [str(word) for word in command], cwd=FOLDER, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


if __name__ == "__main__":
    name, port, poll_id, number = sys.argv[1:]
    {attack.__name__: attack for attack in ATTACKS}[name](At(int(port)), int(poll_id), int(number))

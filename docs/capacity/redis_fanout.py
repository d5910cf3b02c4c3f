#!/usr/bin/env python3
"""What a Redis server's one thread pays to hand one tally to one gateway.

    docs/capacity/redis_fanout.py [SUBSCRIBERS] [MESSAGES] [TOGETHER]

Starts a private redis-server, subscribes so many connections to one channel, publishes messages as
long as a tally's, one by one or so many together, and divides the server's CPU by the deliveries.
Every delivery must arrive.
"""

import pathlib
import selectors
import socket
import subprocess
import sys
import tempfile
import time

CHANNEL = b"pollstream:0123456789ab:poll:7"
MESSAGE = b"1 tally 0123456789abcdef 7 1790000000123 1000000 1790000000122 "
MESSAGE += b"250000,250000,250000,250000 " + b"0" * 32
DELIVERY = b"*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (
    len(CHANNEL), CHANNEL, len(MESSAGE), MESSAGE)  # fmt: skip


def command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def connect(path: pathlib.Path) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX)
    deadline = time.monotonic() + 10
    while True:
        try:
            peer.connect(str(path))
            return peer
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def cpu_seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def measure(subscribers: int, messages: int, together: int) -> float:
    """Microseconds of the server's CPU for one delivery, over TCP."""
    with tempfile.TemporaryDirectory() as folder:
        path, port = pathlib.Path(folder) / "redis.sock", free_port()
        server = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--unixsocket", path,
             "--save", "", "--dir", folder], stdout=subprocess.DEVNULL)  # fmt: skip
        try:
            publisher = connect(path)
            selector = selectors.DefaultSelector()
            peers = []
            for _ in range(subscribers):
                peer = socket.create_connection(("127.0.0.1", port))
                peer.sendall(command(b"SUBSCRIBE", CHANNEL))
                assert peer.recv(4096).startswith(b"*3")
                peer.setblocking(False)
                selector.register(peer, selectors.EVENT_READ)
                peers.append(peer)

            def owed(messages: int) -> int:
                return subscribers * messages * len(DELIVERY)

            due = owed(messages)
            began = cpu_seconds(server.pid)
            buffer, sent, answered = memoryview(bytearray(1 << 20)), 0, 0
            while due > 0:
                # What is published together shares a write to each subscriber.
                if sent < messages and sent == answered and due <= owed(messages - sent):
                    count = min(together, messages - sent)
                    publisher.sendall(command(b"PUBLISH", CHANNEL, MESSAGE) * count)
                    sent += count
                else:
                    while answered < sent:
                        answered += publisher.recv(65536).count(b"\n")
                for key, _ in selector.select(0):
                    due -= key.fileobj.recv_into(buffer)
            return (cpu_seconds(server.pid) - began) / subscribers / messages * 1e6
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    subscribers, messages, together = given + [100, 5_000, 1][len(given) :]
    cost = measure(subscribers, messages, together)
    print(
        f"{subscribers} subscribers, {messages} messages of {len(MESSAGE)} bytes, "
        f"{together} together: {cost:.2f} µs of the server's CPU a delivery"
    )

"""A TCP proxy in front of PostgreSQL that knows where a message of the client ends, and does to it
what a network, or a peer that dies, would do (PostgreSQL 15, "Frontend/Backend Protocol")."""

import random
import re
import socket
import struct
import threading
import time

# What a client asks before it starts up: TLS, GSSAPI.
BEFORE_STARTUP = {80877103, 80877104}


class FaultProxy:
    """Forwards to `target`. `connected` holds when each client came, in monotonic seconds.

    Faults: `delays`, what each message of a client waits at least and at most, in seconds;
    `black_hole` while it is set, nothing passes either way and nothing is answered;
    `once(test, deed)` does `deed` when a message of a client passes `test(kind, body)`: "reset"
    before it is forwarded, "hold" until `release` is set (`passed` is set when it has been
    forwarded then), "swallow" its answer and reset, "garble": the client hears `garbage` in place
    of its answer, and nothing more.
    """

    def __init__(self, target: tuple[str, int]):
        self.target = target
        self.black_hole = threading.Event()
        self.release = threading.Event()
        self.happened = threading.Event()
        self.passed = threading.Event()
        self.connected: list[float] = []
        self.delays: tuple[float, float] | None = None
        self.garbage = b""
        self._fault = None
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def once(self, test, deed: str):
        with self._lock:
            self._fault = (test, deed)
        self.happened.clear()
        self.passed.clear()
        self.release.clear()

    def reset_all(self):
        """As a firewall that forgets."""
        for pair in list(self._pairs):
            self._reset(pair)

    def close(self):
        self.release.set()
        self._listener.close()
        self.reset_all()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connected.append(time.monotonic())
            if self.black_hole.is_set():
                self._pairs.append((client, client))
                continue
            try:
                server = socket.create_connection(self.target)
            except OSError:
                client.close()
                continue
            pair = (client, server)
            self._pairs.append(pair)
            spoilt = {"swallow": threading.Event(), "garble": threading.Event()}
            for call in (self._to_server, self._to_client):
                threading.Thread(target=call, args=(pair, spoilt), daemon=True).start()

    def _to_server(self, pair, spoilt):
        client, server = pair
        try:
            started = False
            while True:
                head = self._exactly(client, 5 if started else 4)
                length = struct.unpack("!I", head[-4:])[0] - 4
                body = self._exactly(client, length)
                kind = chr(head[0]) if started else ""
                started = started or struct.unpack("!I", body[:4])[0] not in BEFORE_STARTUP
                deed = self._deed(kind, body)
                if deed == "reset":
                    self.happened.set()
                    return self._reset(pair)
                if deed == "hold":
                    self.happened.set()
                    self.release.wait()
                if deed in spoilt:
                    spoilt[deed].set()
                while self.black_hole.is_set():
                    time.sleep(0.01)
                self._delay(kind)
                server.sendall(head + body)
                if deed == "hold":
                    self.passed.set()
        except OSError:
            self._reset(pair)

    def _to_client(self, pair, spoilt):
        client, server = pair
        try:
            while data := server.recv(65536):
                while self.black_hole.is_set():
                    time.sleep(0.01)
                if spoilt["swallow"].is_set():
                    self._reset(pair)
                    self.happened.set()
                    return
                if not spoilt["garble"].is_set():
                    client.sendall(data)
                elif not self.happened.is_set():
                    client.sendall(self.garbage)
                    self.happened.set()
        except OSError:
            pass
        self._reset(pair)

    def _delay(self, kind: str):
        """A round trip's worth: of what a client waits for the answer of, not of each row."""
        if self.delays is not None and kind in "SQc":
            time.sleep(random.uniform(*self.delays))

    def _deed(self, kind: str, body: bytes) -> str | None:
        with self._lock:
            if self._fault is None or not self._fault[0](kind, body):
                return None
            deed = self._fault[1]
            self._fault = None
            return deed

    @staticmethod
    def _exactly(source: socket.socket, count: int) -> bytes:
        parts = []
        while count:
            part = source.recv(min(count, 65536))
            if not part:
                raise ConnectionResetError
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    @staticmethod
    def _reset(pair):
        for end in pair:
            try:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()


def copies(kind: str, body: bytes) -> bool:
    """The first rows of a COPY."""
    return kind == "d"


def ends_copy(kind: str, body: bytes) -> bool:
    """All rows are there; what follows commits."""
    return kind == "c"


def merges(kind: str, body: bytes) -> bool:
    """A call of the function that merges ballots, which commits."""
    return kind == "B" and re.search(rb"pollstream_\d+_merge", body) is not None


def commits(kind: str, body: bytes) -> bool:
    return kind == "Q" and body.startswith(b"COMMIT")


def ends_large_copy():
    """The end of a COPY of which the server has stored rows already: of 64 KiB or more."""
    lengths = []

    def test(kind: str, body: bytes) -> bool:
        if kind == "d":
            lengths.append(len(body))
        elif kind == "c":
            is_large = sum(lengths) > 128 << 10
            lengths.clear()
            return is_large
        return False

    return test

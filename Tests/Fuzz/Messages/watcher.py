"""A client that behaves, in a process of its own: a vote, a ping, a readiness and the metrics, over
and over. Each has to be answered within the bound.

On a busy machine the gateway waits for a processor, and so do we. Hence time is counted in looks:
one that finds nothing counts for as long as it was meant to last, however late we woke, and only
for as long as the gateway ran where it wanted to."""

import contextlib
import json
import multiprocessing
import re
import select
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

from wire import TEXT, frame, get, post_json, upgrade

LOOK_SECONDS = 0.05
PAUSE_SECONDS = 0.05
METRICS_SECONDS = 0.5
WHO = "User-Agent: watcher"

# What the gateway counts, by the words of the figures: `pollstream_…` in /metrics.
COUNTERS = {
    "requests": "http_requests_total",
    "malformed": "http_malformed_requests_total",
    "messages": "websocket_messages_total",
    "protocol closes": "websocket_protocol_closes_total",
    "handshakes": "websocket_handshakes_total",
    "ballots": 'ballots_total{outcome="counted"}',
}


class Hang(Exception):
    """No answer within the bound."""


class WrongAnswer(Exception):
    """An answer that a client that behaves must not get."""


class Gone(Exception):
    """The connection was refused or ended before the answer."""


@dataclass
class Watch:
    """What the watcher says, again and again."""

    counters: dict[str, int] = field(default_factory=dict)  # as the gateway counts, all clients
    metrics_at: float = 0.0  # when they were asked for, `time.monotonic`
    own_requests: int = 0  # of which ours
    own_messages: int = 0
    own_votes: int = 0  # that were counted
    slowest_seconds: float = 0.0  # of a probe, by the clock
    silent_seconds: float = 0.0  # the same in looks, which the bound is for
    finding: str | None = None
    was_cut_off: bool = False  # the finding is a connection that ended: the process may have, too

    def read_messages(self) -> int:
        """Messages of the others that the gateway has read: those it took and those it refused."""
        kinds = ("requests", "malformed", "messages", "protocol closes")
        total = sum(self.counters.get(kind, 0) for kind in kinds)
        return max(0, total - self.own_requests - self.own_messages)


class Threads:
    """The gateway's, as the kernel tells."""

    def __init__(self, process: int):
        self._tasks = Path(f"/proc/{process}/task")
        self._ran: dict[str, int] = {}

    def counted_look(self) -> float:
        """How much of the look that has just ended is the gateway's own doing: as much as that
        thread ran which ran least, of those that the machine keeps waiting; else all of it."""
        counted = LOOK_SECONDS
        for task, _, state, place in self._all():
            with contextlib.suppress(OSError):
                ran = int((task / "schedstat").read_text().split()[0])
                before = self._ran.get(task.name, 0)
                self._ran[task.name] = ran
                # For a processor, a disk, or a lock that the kernel holds on somebody's behalf.
                if state in "RD" or place.startswith("rt_mutex"):
                    counted = min(counted, (ran - before) / 1e9)
        return counted

    def now(self) -> str:
        return "\n".join(f"  {name} {state} {place}" for _, name, state, place in self._all())

    def _all(self):
        """Folder, name, state and place in the kernel of each."""
        for task in sorted(self._tasks.iterdir()):
            with contextlib.suppress(OSError):
                name, _, fields = (task / "stat").read_text().partition("(")[2].rpartition(")")
                yield task, name, fields.split()[0], (task / "wchan").read_text()


class Patience:
    """Waits on a socket for `bound` seconds altogether, counted in looks."""

    def __init__(self, bound: float, threads: Threads):
        self.left = bound
        self.threads = threads

    def wait(self, peer: socket.socket, *, to_write=False):
        while True:
            read, write = ([], [peer]) if to_write else ([peer], [])
            if any(select.select(read, write, [], LOOK_SECONDS)):
                return
            self.left -= self.threads.counted_look()
            if self.left <= 0:
                raise Hang

    def connect(self, address) -> socket.socket:
        peer = socket.socket()
        peer.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            peer.connect(address)
        self.wait(peer, to_write=True)
        return peer

    def read(self, peer: socket.socket) -> bytes:
        self.wait(peer)
        if data := peer.recv(1 << 16):
            return data
        raise Gone("the connection ended")


def ask(address, request: bytes, patience: Patience) -> tuple[int, bytes]:
    """Status and body, of one request on a connection of its own, which may land on any loop."""
    with patience.connect(address) as peer:
        peer.send(request)
        answer = b""
        while True:
            head, end, body = answer.partition(b"\r\n\r\n")
            length = re.search(rb"\r\ncontent-length: (\d+)", head, re.I)
            if end and length and len(body) >= int(length[1]):
                return int(answer.split(b" ", 2)[1]), body
            answer += patience.read(peer)


class Ping:
    """A WebSocket that stays."""

    def __init__(self, address, poll: int, patience: Patience):
        self.peer = patience.connect(address)
        self.peer.send(upgrade(f"/ws/polls/{poll}/", WHO))
        self.received = b""
        while b"\r\n\r\n" not in self.received:
            self.received += patience.read(self.peer)
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        if b" 101 " not in head.partition(b"\r\n")[0]:
            raise WrongAnswer(f"a handshake was answered with {head!r}")

    def ask(self, patience: Patience):
        """One `ping` of ours and its `pong`; answers the gateway's own pings in passing."""
        self.peer.send(frame(TEXT, b'{"type":"ping"}'))
        while True:
            opcode, payload = self._frame(patience)
            if opcode == 9:
                self.peer.send(frame(10, payload))
            elif opcode == 8:
                raise WrongAnswer(f"the watcher's WebSocket was closed: {payload!r}")
            elif opcode == TEXT and json.loads(payload)["type"] == "pong":
                return

    def _take(self, count: int, patience: Patience) -> bytes:
        while len(self.received) < count:
            self.received += patience.read(self.peer)
        taken, self.received = self.received[:count], self.received[count:]
        return taken

    def _frame(self, patience: Patience) -> tuple[int, bytes]:
        first, count = self._take(2, patience)
        if count > 125:
            count = int.from_bytes(self._take(2 if count == 126 else 8, patience), "big")
        return first & 15, self._take(count, patience)


class Watcher:
    """Runs `_watch` beside the caller, who asks `latest()` now and then and `end()`s it."""

    def __init__(self, gateway, poll, bound: float):
        context = multiprocessing.get_context("fork")
        self._pipe, pipe = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_watch, args=(pipe, gateway, poll, bound), daemon=True
        )
        self._process.start()
        pipe.close()
        self._latest = Watch()

    def latest(self) -> Watch:
        with contextlib.suppress(EOFError):
            while self._pipe.poll():
                self._latest = self._pipe.recv()
        if self._process.exitcode not in (None, 0):
            self._latest.finding = self._latest.finding or "the watcher itself has failed"
        return self._latest

    def end(self) -> Watch:
        """What it said last."""
        latest = self.latest()
        self._process.kill()
        self._process.join()
        return latest


def _watch(pipe, gateway, poll, bound: float):
    watch = Watch()
    probes = _Probes(watch, gateway, poll, bound)
    reported = 0.0
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        while watch.finding is None:
            for probe in (probes.vote, probes.ping, probes.readiness):
                probes.attempt(probe)
            if time.monotonic() - reported >= METRICS_SECONDS:
                reported = time.monotonic()
                probes.attempt(probes.metrics)
                pipe.send(watch)
            time.sleep(PAUSE_SECONDS)
        pipe.send(watch)


class _Probes:
    def __init__(self, watch: Watch, gateway, poll, bound: float):
        self.watch = watch
        self.address = gateway.address
        self.ops_address = gateway.ops_address
        self.threads = Threads(gateway.process.pid)
        self.poll = poll
        self.bound = bound
        self.votes = 0
        self.status = 0  # of the last answer
        self.socket: Ping | None = None

    def attempt(self, probe):
        if self.watch.finding is not None:
            return
        name = probe.__name__
        began = time.monotonic()
        patience = Patience(self.bound, self.threads)
        try:
            probe(patience)
        except Hang:
            self.watch.finding = (
                f"a hang: no answer to a {name} within {self.bound:g} s, by the clock in"
                f" {time.monotonic() - began:.2f} s; threads:\n{self.threads.now()}"
            )
        except WrongAnswer as wrong:
            self.watch.finding = f"a wrong answer: {wrong}"
        except (Gone, OSError) as error:
            self.watch.finding = f"no answer to a {name}: {error!r}"
            self.watch.was_cut_off = True
        self.watch.slowest_seconds = max(self.watch.slowest_seconds, time.monotonic() - began)
        self.watch.silent_seconds = max(self.watch.silent_seconds, self.bound - patience.left)

    def vote(self, patience: Patience):
        self.votes += 1
        voter = f"watcher {self.votes}"
        document = {"poll_id": self.poll.id, "option_id": self.poll.options[0], "voter": voter}
        self._ask(patience, self.address, post_json("/votes/", document, WHO), (201, 503))
        self.watch.own_votes += self.status == 201

    def ping(self, patience: Patience):
        if self.socket is None:
            self.watch.own_requests += 1
            self.socket = Ping(self.address, self.poll.id, patience)
        self.watch.own_messages += 1
        self.socket.ask(patience)

    def readiness(self, patience: Patience):
        self._ask(patience, self.ops_address, get("/readyz", WHO), (200,))

    def metrics(self, patience: Patience):
        asked_at = time.monotonic()
        text = self._ask(patience, self.ops_address, get("/metrics", WHO), (200,)).decode()
        for kind, name in COUNTERS.items():
            if found := re.search(rf"^pollstream_{re.escape(name)} (\d+)$", text, re.M):
                self.watch.counters[kind] = int(found[1])
        self.watch.metrics_at = asked_at

    def _ask(self, patience: Patience, address, request: bytes, expected: tuple[int, ...]) -> bytes:
        self.watch.own_requests += 1
        self.status, body = ask(address, request, patience)
        if self.status not in expected:
            raise WrongAnswer(f"{request.splitlines()[0]!r} got {self.status} {body[:300]!r}")
        return body

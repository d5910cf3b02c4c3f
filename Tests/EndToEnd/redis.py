"""A private Redis server: in a temporary folder, on a free port and a socket, as an unprivileged
user where the tests run as root. It dies with the tests. And a proxy that spoils what a subscriber
hears, and one that makes all late."""

import contextlib
import os
import queue
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from ports import free_port
from postgres import unprivileged

START_SECONDS = 10


class Redis:
    """`settings` as in redis.conf, with _ for -."""

    def __init__(self, **settings):
        self.folder = Path(tempfile.mkdtemp(prefix="pollstream-redis-", dir="/tmp"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody", "nogroup")
        self.port = free_port()
        self.path = self.folder / "redis.sock"
        self.url = f"redis://127.0.0.1:{self.port}"
        self.settings = settings
        self.process: subprocess.Popen | None = None
        self.start()

    def start(self):
        options = [
            word for name, value in self.settings.items()
            for word in (f"--{name.replace('_', '-')}", *str(value).split())
        ]  # fmt: skip
        self.process = subprocess.Popen(
            [
                *unprivileged(), "redis-server", "--port", str(self.port), "--bind", "127.0.0.1",
                "--unixsocket", str(self.path), "--unixsocketperm", "777", "--save", "",
                "--appendonly", "no", "--dir", str(self.folder), *options,
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGKILL):
        self.process.send_signal(how)
        self.process.wait(START_SECONDS)

    def ask(self, *words) -> str:
        """What redis-cli prints."""
        done = subprocess.run(
            ["redis-cli", "-p", str(self.port), *map(str, words)], capture_output=True, text=True,
            timeout=10,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def channels(self) -> list[str]:
        return self.ask("PUBSUB", "CHANNELS", "pollstream:*").split()

    def remove(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class RedisCluster:
    """Three masters that share the slots; without replicas, so that who is down takes its slots
    along, and the others go on."""

    SLOTS = 16384

    def __init__(self):
        self.nodes = [
            Redis(cluster_enabled="yes", cluster_port=free_port(), cluster_node_timeout=1000,
                  cluster_require_full_coverage="no", cluster_allow_pubsubshard_when_down="yes")
            for _ in range(3)
        ]  # fmt: skip
        self.url = self.nodes[0].url
        share = self.SLOTS // 3
        for number, node in enumerate(self.nodes):
            end = self.SLOTS if number == 2 else (number + 1) * share
            node.ask("CLUSTER", "ADDSLOTSRANGE", number * share, end - 1)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            self.nodes[0].ask(
                "CLUSTER", "MEET", "127.0.0.1", node.port, node.settings["cluster_port"]
            )
        self.wait_until_whole()

    def wait_until_whole(self):
        deadline = time.monotonic() + 3 * START_SECONDS
        while not all(
            "cluster_state:ok" in (info := node.ask("CLUSTER", "INFO"))
            and "cluster_known_nodes:3" in info and "cluster_slots_ok:16384" in info
            for node in self.nodes
        ):  # fmt: skip
            assert time.monotonic() < deadline, self.nodes[0].ask("CLUSTER", "NODES")
            time.sleep(0.05)

    def shard_channels(self) -> list[list[str]]:
        """By node, those that somebody hears."""
        return [node.ask("PUBSUB", "SHARDCHANNELS").split() for node in self.nodes]

    def node_of(self, channel: str) -> int:
        slot = int(self.nodes[0].ask("CLUSTER", "KEYSLOT", channel))
        return min(slot // (self.SLOTS // 3), 2)

    def move(self, channel: str, to: int):
        """Gives the channel's slot to another node."""
        slot = self.nodes[0].ask("CLUSTER", "KEYSLOT", channel)
        new_owner = self.nodes[to].ask("CLUSTER", "MYID")
        self.nodes[to].ask("CLUSTER", "SETSLOT", slot, "NODE", new_owner)
        self.nodes[to].ask("CLUSTER", "BUMPEPOCH")
        for node in self.nodes:
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", new_owner)

    def remove(self):
        for node in self.nodes:
            node.remove()


class Proxy:
    """Between gateways and Redis; what it does with what they say is its kind's."""

    def __init__(self, server: Redis):
        self.server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


class SpoilingProxy(Proxy):
    """Between a gateway and Redis: of the messages to its subscribers a share is lost, a share
    doubled, and a share told after the next. Everything else passes."""

    def __init__(self, server: Redis, share: float = 0.3):
        self.share = share
        self.spoiled = 0
        self._random = random.Random(1)
        super().__init__(server)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self.server.port))
                except OSError:
                    client.close()
                    continue
                self._sockets += [client, server]
                for pump in (self._upwards, self._downwards):
                    threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def _upwards(self, client, server):
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)

    def _downwards(self, client, server):
        late = b""
        with contextlib.suppress(OSError, EOFError):
            stream = server.makefile("rb")
            while True:
                reply = _reply(stream)
                is_news = b"$7\r\nmessage\r\n" in reply and b" alive " not in reply
                fate = self._random.random() / self.share if is_news else 9
                self.spoiled += fate < 3
                if fate < 1:
                    continue
                if 2 <= fate < 3 and not late:
                    late = reply
                    continue
                client.sendall(reply * 2 if fate < 2 else reply + late)
                late = b"" if fate >= 2 else late
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


def _reply(stream) -> bytes:
    """One whole reply (RESP2), as it was sent."""
    line = stream.readline()
    if not line:
        raise EOFError
    if line[:1] == b"$" and int(line[1:]) >= 0:
        return line + stream.read(int(line[1:]) + 2)
    if line[:1] == b"*":
        return line + b"".join(_reply(stream) for _ in range(max(0, int(line[1:]))))
    return line


class LateProxy(Proxy):
    """Between gateways and Redis: all that either says arrives `seconds` later, in order.
    `connected` holds when each connection was asked for, in monotonic seconds."""

    def __init__(self, server: Redis, seconds: float = 0.0):
        self.seconds = seconds
        self.connected: list[float] = []
        self._reads = threading.Event()
        self._reads.set()
        super().__init__(server)

    @contextlib.contextmanager
    def unread(self):
        """Nothing is taken from Redis, which has to keep what it says, or end the connection."""
        self._reads.clear()
        try:
            yield
        finally:
            self._reads.set()

    def close(self):
        self._reads.set()
        super().close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connected.append(time.monotonic())
                server = socket.socket()
                # Small, so that what is not read soon fills the buffers of Redis itself.
                server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
                try:
                    server.connect(("127.0.0.1", self.server.port))
                except OSError:
                    client.close()
                    continue
                self._sockets += [client, server]
                for source, target in ((client, server), (server, client)):
                    late = queue.SimpleQueue()
                    for call, *arguments in (
                        (self._take, source, late, source is server), (self._give, target, late)
                    ):  # fmt: skip
                        threading.Thread(target=call, args=arguments, daemon=True).start()

    def _take(self, source, late, from_server: bool):
        data = b"-"
        while data:
            try:
                data = source.recv(1 << 16)
            except OSError:
                data = b""
            if from_server:
                self._reads.wait()
            late.put((time.monotonic() + self.seconds, data))

    @staticmethod
    def _give(target, late):
        with contextlib.suppress(OSError):
            while True:
                due, data = late.get()
                time.sleep(max(0, due - time.monotonic()))
                if not data:
                    break
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

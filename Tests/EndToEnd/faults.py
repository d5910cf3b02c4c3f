"""Ways in which a gateway's surroundings fail, each for as long as its context lasts."""

import contextlib
import functools
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import prometheus
from gateway import Gateway, binary, clean_environment, meanwhile


def limit_hits(gateway: Gateway, limit: str) -> float:
    """How often this limit was passed, by its name on the command line."""
    samples = prometheus.parse(gateway.ops("GET", "/metrics").text)
    return samples.get(f'pollstream_limits_hit_total{{limit="{limit}"}}', 0)


def cpu_seconds(gateway: Gateway) -> float:
    fields = Path(f"/proc/{gateway.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def descriptors_limited(gateway: Gateway, count: int):
    pid = gateway.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (count, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def stopped(server):
    """A gateway, or who it talks to: connections stay, nobody answers."""
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def throttled(gateway: Gateway, share: float, period: float = 0.1):
    """The process runs for `share` of each period, as under a quota of its control group."""

    def throttle():
        with stopped(gateway):
            time.sleep((1 - share) * period)

    with meanwhile(throttle, every=share * period):
        yield


class Clock:
    """A wall clock that can be set; monotonic time goes on as ever. Lives in `folder`."""

    def __init__(self, folder: Path):
        self._file = folder / "shift"
        self._file.write_bytes(bytes(8))
        library = folder / "shifted_clock.so"
        source = Path(__file__).with_name("shifted_clock.c")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", source, "-o", library], check=True)
        self.environment = {"LD_PRELOAD": str(library), "SHIFTED_CLOCK": str(self._file)}

    def set(self, seconds: int):
        """So far from the real time."""
        with self._file.open("r+b") as file:
            file.write(seconds.to_bytes(8, "little", signed=True))


@contextlib.contextmanager
def log_unread(gateway: Gateway):
    """Nobody reads the gateway's standard error, and the pipe is full."""
    gateway.reads_log.clear()
    pipe = os.open(f"/proc/{gateway.process.pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
    try:
        blocked = 0
        while blocked < 5:  # the reader takes a last mouthful
            try:
                os.write(pipe, b"-" * 1023 + b"\n")
            except BlockingIOError:
                blocked += 1
                time.sleep(0.05)
        os.close(pipe)
        yield
    finally:
        gateway.reads_log.set()


def start_bare(folder: Path, port: int, stderr) -> subprocess.Popen:
    """A gateway of which nothing can be read."""
    return subprocess.Popen(
        [binary(), "serve", "--listen", f"127.0.0.1:{port}", "--ops-listen", "off",
         "--database", f"sqlite:{folder}/bare.db"],
        env=clean_environment(), stdin=subprocess.DEVNULL, stderr=stderr,
    )  # fmt: skip


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/polls/", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def on_a_small_disk(folder: Path, size: str) -> list[str]:
    """To be put before a command: it sees a small disk of its own in place of `folder`."""
    script = f'mount -t tmpfs -o size={size} small "{folder}" && cd "{folder}" && exec "$@"'
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh"]


def integrity(database: Path) -> str:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchone()[0]


@functools.cache
def can_trace() -> bool:
    done = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True)
    return done.returncode == 0


@contextlib.contextmanager
def injected(gateway: Gateway, what: str):
    """A system call of the gateway fails or is slow, as `strace -e inject=` says."""
    call = what.partition(":")[0]
    tracer = subprocess.Popen(
        ["strace", "-f", "-q", "-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={what}",
         "-p", str(gateway.process.pid)],
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        wait_until_traced(gateway)
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        tracer.stderr.close()


def wait_until_traced(gateway: Gateway):
    deadline = time.monotonic() + 20
    tasks = Path(f"/proc/{gateway.process.pid}/task")
    while any("TracerPid:\t0" in (task / "status").read_text() for task in tasks.iterdir()):
        assert time.monotonic() < deadline, "strace does not attach"
        time.sleep(0.02)


NETWORK = ["unshare", "--map-root-user", "--net"]


@functools.cache
def can_vanish() -> bool:
    done = subprocess.run([*NETWORK, "ip", "link", "set", "lo", "up"], capture_output=True)
    return done.returncode == 0


def in_network_of_its_own(script: str, *arguments) -> list[str]:
    return [*NETWORK, sys.executable, script, *map(str, arguments)]

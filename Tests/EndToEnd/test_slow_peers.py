"""Peers that are slow for ever, or gone without a word, are not kept, and who answers is: BAD_INPUT
A56, A57, D44 and H08."""

import contextlib
import subprocess
import threading
import time
from pathlib import Path

import pytest

import attackers
import faults
from attackers import attacked
from gateway import eventually, limits
from live import Viewer
from test_faults import descriptors, metric, shed
from voting import in_threads
from wire import Wire, get

pytestmark = [pytest.mark.once, pytest.mark.takes(40)]


def test_a_peer_that_is_slow_for_ever_is_not_kept_for_ever(start_gateway):  # A56, A57
    gateway = start_gateway(
        *limits(header_timeout="500ms", body_timeout="500ms", idle_timeout="500ms"),
        *limits(ping_period="500ms"),
    )
    for _ in range(40):  # a page of the list then is larger than what the kernel keeps for a peer
        poll = gateway.create_poll([f"option {n} " * 20 for n in range(20)])
    before = descriptors(gateway)
    slow = {
        "header-timeout": (attackers.slow_heads, 20),
        "body-timeout": (attackers.slow_bodies, 20),
        "not-reading": (attackers.slow_downloads, 1),
    }
    with contextlib.ExitStack() as stack:
        for attack, count in slow.values():
            stack.enter_context(attacked(gateway, attack, poll, count))
        for name, (_, count) in slow.items():
            eventually(lambda: faults.limit_hits(gateway, name) >= count)  # noqa: B023
    eventually(lambda: descriptors(gateway) <= before + 2)


def create_long_list(gateway, polls: int = 40):
    """A page of the list then is larger than what the kernel keeps for a peer."""
    for _ in range(polls):
        gateway.create_poll([f"option {n} " * 20 for n in range(20)])


def take_in_drips(gateway, count: int, bytes_per_second: int, stop: threading.Event):
    """Asks for much, again and again, and empties a small receive buffer so slowly."""
    asked = get("/polls/?state=all&page_size=100")
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(gateway, receive_buffer=2048)) for _ in range(count)]
        for wire in wires:
            wire.send(asked * 20)
            wire.socket.setblocking(False)
        while not stop.wait(0.1):
            for wire in wires:
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    wire.socket.recv(bytes_per_second // 10)
                    wire.socket.send(asked)


@pytest.mark.parametrize(("bytes_per_second", "is_kept"), [(700, False), (20_000, True)])
def test_who_takes_a_little_now_and_then_is_not_kept_for_ever(  # A57
    start_gateway, bytes_per_second, is_kept
):
    gateway = start_gateway(*limits(ping_period="2s"))
    create_long_list(gateway)
    stop = threading.Event()
    (reader,) = in_threads((take_in_drips, gateway, 1, bytes_per_second, stop))
    # Within two of its own looks it has taken something, and less than a kilobyte a second.
    time.sleep(4)
    if is_kept:
        time.sleep(6)
        assert faults.limit_hits(gateway, "not-reading") == 0
    else:
        eventually(lambda: faults.limit_hits(gateway, "not-reading") == 1)
    stop.set()
    reader.join()


def test_drips_do_not_keep_memory_short(start_gateway):  # A57, I6
    gateway = start_gateway(*limits(buffer_bytes="4MiB"))
    create_long_list(gateway, polls=100)
    stop = threading.Event()
    (reader,) = in_threads((take_in_drips, gateway, 40, 20_000, stop))
    try:
        # They take it at a pace, and would go on for a minute.
        for _ in range(5):
            eventually(lambda: gateway.get("/polls/?page_size=100").status_code == 503)
            time.sleep(0.2)
        assert metric(gateway, "pollstream_buffer_bytes") >= 3 << 20
        eventually(lambda: shed(gateway)["readers"] > 0)
        eventually(lambda: gateway.get("/polls/?page_size=100").status_code == 200)
    finally:
        stop.set()
        reader.join()


@pytest.mark.skipif(not faults.can_vanish(), reason="no network namespace can be made here")
@pytest.mark.parametrize(("count", "period"),
                         [(100, 1), pytest.param(5_000, 8, marks=pytest.mark.long)])  # fmt: skip
def test_peers_that_vanish_are_reaped_and_nobody_else(tmp_path, count, period):  # H08
    command = faults.in_network_of_its_own("half_open.py", tmp_path, count, period)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=100, cwd=Path(__file__).parent
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_who_only_answers_pings_is_kept_for_ever(start_gateway):  # D44
    gateway = start_gateway(*limits(ping_period="1s"))
    viewers = [Viewer(gateway, ping_interval=None) for _ in range(20)]
    time.sleep(60)
    for viewer in viewers:
        assert viewer.said_by_now() == []

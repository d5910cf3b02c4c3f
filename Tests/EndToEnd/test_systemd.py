"""Under systemd: what the process says to it, and that the unit is one, and a narrow one."""

import contextlib
import re
import signal
import socket
import subprocess
import uuid

import pytest

from gateway import REPOSITORY, binary
from live import Viewer

# The store makes no difference.
pytestmark = pytest.mark.once

UNIT = REPOSITORY / "deploy/systemd/pollstream.service"
# Of 10, as systemd-analyze has it: below 2 is what it calls OK. What is left is the network.
EXPOSURE = 1.6


class Manager:
    """Where systemd would listen: a path, or an abstract name after @."""

    def __init__(self, path: str):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + path[1:] if path.startswith("@") else path)
        self.socket.settimeout(20)

    def hear(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().split("\n"))

    def hears_within(self, seconds: float) -> bool:
        self.socket.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            return bool(self.socket.recv(4096))
        return False


@pytest.fixture(params=["path", "abstract"])
def place(request, tmp_path):
    return str(tmp_path / "notify") if request.param == "path" else f"@pollstream-{uuid.uuid4()}"


def test_it_is_ready_when_it_listens_reloads_and_stops(start_gateway, place):
    manager = Manager(place)
    gateway = start_gateway("--drain", "20s", environment={"NOTIFY_SOCKET": place})
    assert manager.hear() == {"READY": "1", "STATUS": "serving"}
    gateway.process.send_signal(signal.SIGHUP)
    reloading = manager.hear()
    assert reloading["RELOADING"] == "1"
    assert int(reloading["MONOTONIC_USEC"]) > 0
    assert manager.hear()["READY"] == "1"
    poll = gateway.create_poll()
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        gateway.terminate()
        assert manager.hear() == {"STOPPING": "1", "STATUS": "draining"}
    assert gateway.wait() == 0


def test_a_process_that_stands_still_is_not_alive(start_gateway, tmp_path):
    place = str(tmp_path / "notify")
    manager = Manager(place)
    gateway = start_gateway(environment={"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "1500000"})
    assert "READY" in manager.hear()
    assert manager.hear() == {"WATCHDOG": "1"}
    assert manager.hear() == {"WATCHDOG": "1"}
    gateway.process.send_signal(signal.SIGSTOP)
    try:
        while manager.hears_within(0.2):
            pass
        assert not manager.hears_within(2)
    finally:
        gateway.process.send_signal(signal.SIGCONT)
    assert manager.hears_within(20)


# The unit


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.M):
        found.setdefault(name, []).append(value)
    return found


@pytest.fixture
def installed(tmp_path):
    """The unit as it would be installed on this machine: with a program and a user that it has."""
    text = UNIT.read_text().replace("/usr/bin/pollstream", binary())
    path = tmp_path / "pollstream.service"
    path.write_text(text.replace("User=pollstream", "User=daemon"))
    return path


def test_systemd_finds_no_fault_with_the_unit(installed):
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", installed],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    # Of the units that the machine has it may think what it likes.
    complaints = [line for line in told.stderr.splitlines() if str(installed) in line]
    assert (told.returncode, complaints) == (0, []), told.stderr


def test_the_unit_gives_the_process_little_more_than_the_network(installed):
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", installed],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    found = re.search(r"Overall exposure level for pollstream.service: ([\d.]+)", told.stdout)
    assert found, told.stdout + told.stderr
    assert float(found[1]) <= EXPOSURE, told.stdout


def test_the_unit_waits_for_a_drain_and_starts_nothing_that_is_configured_wrongly():
    unit = settings()
    help_text = subprocess.run(
        [binary(), "serve", "--help"], capture_output=True, text=True, timeout=30
    ).stdout
    # Wrapped by the width of the terminal.
    drain = re.search(r"--drain\s+<.*?default:\s+(\d+)s\)", help_text, re.S)
    assert int(unit["TimeoutStopSec"][0]) > int(drain[1]) + 10
    assert set(unit["RestartPreventExitStatus"][0].split()) == {"1", "64"}
    assert unit["Type"] == ["notify"]
    assert int(unit["LimitNOFILE"][0]) >= 100_000
    # What is in its memory is not for a file.
    assert unit["LimitCORE"] == ["0"]

"""A gateway that may use so much memory and no more: in a control group of its own, whose limit it
finds and at which the kernel kills it. Where none can be made, as in most containers, with a limit
on its data (RLIMIT_DATA), at which allocations fail; then it is told its share. One of the two
always holds."""

import contextlib
import os
import resource
import signal
import time
from pathlib import Path

from gateway import Gateway, limits

# What the gateway makes of a limit if nobody says otherwise.
SHARE = 4


class SmallMemory:
    """`under` and `arguments` are for starting the gateway, `close_in` for when it has started."""

    def __init__(self, limit: int):
        self.limit = limit
        self.bound = limit // SHARE
        self.group = _make_group(limit)
        self.under = _entering(self.group) if self.group else []
        self.arguments = [] if self.group else limits(buffer_bytes=self.bound)

    def close_in(self, gateway: Gateway):
        if self.group:
            assert str(gateway.process.pid) in (self.group / "cgroup.procs").read_text().split()
            return
        # What it has by now is all that the kernel counts but the program's text.
        used = _status_bytes(gateway.process.pid, "VmData")
        most = used + self.limit - _status_bytes(gateway.process.pid, "VmRSS")
        resource.prlimit(gateway.process.pid, resource.RLIMIT_DATA, (most, most))

    def close(self):
        if not self.group:
            return
        deadline = time.monotonic() + 20
        while self.group.exists():
            # A test that failed has left its gateway here.
            for pid in (self.group / "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            with contextlib.suppress(OSError):
                self.group.rmdir()
            assert time.monotonic() < deadline, f"{self.group} stays"
            time.sleep(0.05)


@contextlib.contextmanager
def small_memory(limit: int):
    memory = SmallMemory(limit)
    try:
        yield memory
    finally:
        memory.close()


def _status_bytes(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024


def _entering(group: Path) -> list[str]:
    return ["sh", "-c", f'echo $$ > "{group}/cgroup.procs" && exec "$@"', "sh"]


def _make_group(limit: int) -> Path | None:
    """A group of its own with this limit, for one process."""
    for parent, (limiting, swapping) in _parents():
        group = parent / f"pollstream-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limiting).write_text(str(limit))
            # Memory that is swapped out would not be limited; not every kernel counts it.
            with contextlib.suppress(OSError):
                (group / swapping).write_text("0")
            # Whether a process may be there is only seen by trying.
            if os.spawnlp(os.P_WAIT, "sh", *["sh", *_entering(group)[1:], "true"]) == 0:
                return group
        except OSError:
            pass
        group.rmdir()
    return None


_VERSION_1 = ("memory.limit_in_bytes", "memory.swappiness")
_VERSION_2 = ("memory.max", "memory.swap.max")


def _parents():
    """Where a group may be made, best first, and the files that limit it. That is below the group
    that we are in; in version 2, where one that has processes has none below it, beside ours. A
    container may see its own at the root, whatever its path says."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            mount, files = Path("/sys/fs/cgroup/memory"), _VERSION_1
            candidates = [mount / path.strip("/"), mount]
        elif not controllers:
            mount, files = Path("/sys/fs/cgroup"), _VERSION_2
            candidates = [(mount / path.strip("/")).parent if path != "/" else mount]
        else:
            continue
        yield from ((each, files) for each in candidates if each.is_dir())

"""What a fault costs those who do nothing wrong: five viewers and a voter, ten seconds before the
fault and ten while it lasts. Milliseconds are from sending a ballot to the last viewer's having its
tally, one ballot every 100 ms; each fault has a gateway of its own, with every default, and those
whose cost is memory have 192 MiB of it.

Where nothing can be stored meanwhile it is, in a second table, from a ping of all viewers to their
last pong, and from sending a ballot to its refusal."""

import contextlib
import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "EndToEnd"))

import attackers  # noqa: E402
import faults  # noqa: E402
from gateway import Gateway, binary, clean_environment, meanwhile  # noqa: E402
from onlookers import Latencies, Onlookers  # noqa: E402
from small_memory import small_memory  # noqa: E402
from test_accept_faults import ask_all, knock  # noqa: E402
from wire import get  # noqa: E402

SECONDS = 10
MEMORY = 192 << 20


def contexts(gateway, poll):
    """Each fault by its name, as a context that is entered when it begins."""
    for attack, count in attackers.ATTACKS.items():
        yield attack.__name__, attackers.attacked(gateway, attack, poll, count)
    yield "a fifth of a processor", faults.throttled(gateway, 0.2)
    yield "a log nobody reads", faults.log_unread(gateway)
    yield "fsync takes 200 ms", faults.injected(gateway, "fdatasync:delay_enter=200ms")
    yield "bursts of 500 connections", meanwhile(lambda: burst(gateway), every=0.5)
    yield "another gateway on its file", meanwhile(lambda: start_another(gateway), every=0.5)
    yield CLOCK, contextlib.nullcontext()


# Whose clock it is has to be known when the gateway starts.
CLOCK = "a clock that jumps by hours"


def burst(gateway, count: int = 500):
    with contextlib.ExitStack() as stack:
        peers = knock(gateway, count, stack)
        assert sum(1 for _ in ask_all(peers, get("/polls/", "Connection: close"), 10)) == count


def start_another(gateway):
    other = subprocess.run(
        [binary(), "serve", "--listen", "127.0.0.1:0", "--ops-listen", "off",
         "--database", gateway.store.uri],
        env=clean_environment(), capture_output=True,
    )  # fmt: skip
    assert other.returncode == 2, other.stderr


@contextlib.contextmanager
def jumping(clock: faults.Clock):
    jumps = itertools.cycle((3600, -3600, 86400, 0))
    with meanwhile(lambda: clock.set(next(jumps)), every=0.5):
        yield


def refusing(gateway, folder: Path):
    """As `contexts`, of faults that let nobody's ballot be stored, or nobody in."""
    yield "writes that fail (EIO)", faults.injected(gateway, "pwrite64:error=EIO")
    yield FULL_DISK, filled(gateway, folder)
    yield "no descriptor is left", crowded(gateway)


# Of its own disk, which it has to be started on.
FULL_DISK = "a full disk"


@contextlib.contextmanager
def filled(gateway, folder: Path):
    inside = Path(f"/proc/{gateway.process.pid}/root{folder}")
    with (inside / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    yield


@contextlib.contextmanager
def crowded(gateway):
    open_now = len(list(Path(f"/proc/{gateway.process.pid}/fd").iterdir()))
    with faults.descriptors_limited(gateway, open_now + 5):
        with meanwhile(lambda: burst(gateway, 100), every=0.2):
            yield


def names() -> list[str]:
    return [name for name, _ in (*contexts(None, None), *refusing(None, None))]


def measure(name: str, folder: Path):
    of_memory = name in ("half_bodies", "half_messages", "slow_downloads")
    if name == CLOCK:
        clock = faults.Clock(folder)
        gateway = Gateway(folder, environment=clock.environment).start()
        return measure_with(gateway, name, jumping(clock))
    with small_memory(MEMORY) if of_memory else contextlib.nullcontext() as memory:
        if memory:
            gateway = Gateway(folder, *memory.arguments, under=memory.under).start()
            memory.close_in(gateway)
        else:
            gateway = Gateway(folder).start()
        measure_with(gateway, name)


def measure_with(gateway: Gateway, name: str, context=None):
    try:
        with Onlookers(gateway) as onlookers, contextlib.ExitStack() as stack:
            poll = gateway.create_poll()
            onlookers.vote()
            before = onlookers.watch(SECONDS)
            memory, cpu = gateway.resident_bytes(), faults.cpu_seconds(gateway)
            stack.enter_context(context or dict(contexts(gateway, poll))[name])
            during = onlookers.watch(SECONDS)
            grown = (gateway.resident_bytes() - memory) / (1 << 20)
            used = (faults.cpu_seconds(gateway) - cpu) / SECONDS
        row = [each.quantile(share) for each in (before, during) for share in (0.5, 0.99)]
        row += [during.quantile(1)]
        print(f"| {name} | " + " | ".join(f"{ms:.0f}" for ms in row)
              + f" | {grown:.0f} | {used:.2f} |", flush=True)  # fmt: skip
        gateway.stop()
    finally:
        gateway.discard()


def measure_refusing(name: str, folder: Path):
    under = faults.on_a_small_disk(folder, "4m") if name == FULL_DISK else ()
    gateway = Gateway(folder, under=under).start()
    try:
        with Onlookers(gateway) as onlookers:
            before, _ = watch_answers(onlookers)
            with dict(refusing(gateway, folder))[name]:
                during, refusals = watch_answers(onlookers)
        row = [each.quantile(share) for each in (before, during) for share in (0.5, 0.99)]
        row += [during.quantile(1), refusals.quantile(0.5), refusals.quantile(1)]
        print(f"| {name} | " + " | ".join(f"{ms:.0f}" for ms in row) + " |", flush=True)
    finally:
        gateway.discard()


def watch_answers(onlookers: Onlookers) -> tuple[Latencies, Latencies]:
    """Of pings, and of ballots, whatever they are answered."""
    pongs, answers = Latencies(), Latencies()
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        began = time.monotonic()
        for viewer in onlookers.viewers:
            viewer.ask(type="ping")
        pongs.values.append((time.monotonic() - began) * 1000)
        began = time.monotonic()
        onlookers.gateway.vote(onlookers.poll, 0, f"onlooker {len(answers.values)} {began}")
        answers.values.append((time.monotonic() - began) * 1000)
        time.sleep(0.1)
    return pongs, answers


def main():
    wanted = sys.argv[1:] or names()
    others = [name for name, _ in refusing(None, None)]
    print("| fault | before: p50 | p99 | during: p50 | p99 | most, ms | MiB more | cores |")
    print("|---|---|---|---|---|---|---|---|")
    for name in wanted:
        if name not in others:
            with tempfile.TemporaryDirectory() as folder:
                measure(name, Path(folder))
    print("\n| fault | before: p50 | p99 | during: p50 | p99 | most | refusal: p50 | most |")
    print("|---|---|---|---|---|---|---|---|")
    for name in wanted:
        if name in others:
            with tempfile.TemporaryDirectory() as folder:
                measure_refusing(name, Path(folder))


if __name__ == "__main__":
    main()

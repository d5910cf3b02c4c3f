"""What a fault costs those who do nothing wrong: five viewers and a voter, ten seconds before the
fault and ten while it lasts. Milliseconds are from sending a ballot to the last viewer's having its
tally, one ballot every 100 ms; each fault has a gateway of its own, with every default, and those
whose cost is memory have 192 MiB of it."""

import contextlib
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "EndToEnd"))

import attackers  # noqa: E402
import faults  # noqa: E402
from gateway import Gateway  # noqa: E402
from onlookers import Onlookers  # noqa: E402
from small_memory import small_memory  # noqa: E402

SECONDS = 10
MEMORY = 192 << 20


def contexts(gateway, poll):
    """Each fault by its name, as a context that is entered when it begins."""
    for attack, count in attackers.ATTACKS.items():
        yield attack.__name__, attackers.attacked(gateway, attack, poll, count)
    yield "a fifth of a processor", faults.throttled(gateway, 0.2)
    yield "a log nobody reads", faults.log_unread(gateway)
    yield "fsync takes 200 ms", faults.injected(gateway, "fdatasync:delay_enter=200ms")


def names() -> list[str]:
    return [name for name, _ in contexts(None, None)]


def measure(name: str, folder: Path):
    of_memory = name in ("half_bodies", "half_messages", "slow_downloads")
    with small_memory(MEMORY) if of_memory else contextlib.nullcontext() as memory:
        if memory:
            gateway = Gateway(folder, *memory.arguments, under=memory.under).start()
            memory.close_in(gateway)
        else:
            gateway = Gateway(folder).start()
        measure_with(gateway, name)


def measure_with(gateway: Gateway, name: str):
    try:
        with Onlookers(gateway) as onlookers, contextlib.ExitStack() as stack:
            poll = gateway.create_poll()
            onlookers.vote()
            before = onlookers.watch(SECONDS)
            memory, cpu = gateway.resident_bytes(), faults.cpu_seconds(gateway)
            stack.enter_context(dict(contexts(gateway, poll))[name])
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


def main():
    print("| fault | before: p50 | p99 | during: p50 | p99 | most, ms | MiB more | cores |")
    print("|---|---|---|---|---|---|---|---|")
    for name in sys.argv[1:] or names():
        with tempfile.TemporaryDirectory() as folder:
            measure(name, Path(folder))


if __name__ == "__main__":
    main()

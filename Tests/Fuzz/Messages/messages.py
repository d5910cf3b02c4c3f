"""Sends mutated sessions to a sanitized gateway until it has read as many messages as asked for.

Fails at a sanitizer's report, the end of the process, an answer that takes longer than the bound, a
5xx that is none of 501, 503 and 505, and where the gateway reads too little of what is sent."""

import argparse
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "EndToEnd"))

from gateway_process import GatewayProcess, StartFailure  # noqa: E402
from seeds import Target  # noqa: E402
from sender import Sender  # noqa: E402
from sessions import Sessions  # noqa: E402
from watcher import Watch, Watcher  # noqa: E402

# A fresh gateway, with a database of its own, for each so many messages.
ROUND_MESSAGES = 100_000
# About half of what is sent is read. The rest is behind a message that ended its connection, or was
# on its way when the client went. Who sends four times as much as is read talks to a closed door.
SENT_PER_READ = 4
# Of a thousand messages that were read, at least so many have got so far.
FLOORS = {
    "requests": 200, "malformed": 5, "messages": 200, "protocol closes": 2, "handshakes": 10,
    "ballots": 20,
}  # fmt: skip
CHECK_SECONDS = 0.2


class Finding(Exception):
    """What a run has to find."""


@dataclass(frozen=True)
class Patience:
    """In seconds."""

    bound: float  # for any answer
    settling: float  # for the gateway to notice that everybody has gone


def attack(
    gateway: GatewayProcess, messages: int, seed: str, patience: Patience
) -> dict[str, object]:
    """One round. Returns its figures; throws a `Finding`."""
    site, own = gateway.make_site()
    watcher = Watcher(gateway, own, patience.bound)
    sender = Sender(Sessions(seed, site), gateway.address)
    try:
        checked = 0.0
        while (watch := watcher.latest()).read_messages() < messages:
            sender.turn()
            if time.monotonic() - checked < CHECK_SECONDS:
                continue
            checked = time.monotonic()
            look_for_findings(gateway, watch, sender)
            if sender.sent_messages > SENT_PER_READ * messages + 1000:
                judge_reading(gateway, watcher, sender, messages)
                break
    finally:
        sender.close()
        watch = watcher.end()
    look_for_findings(gateway, watch, sender)
    for kind, floor in FLOORS.items():
        reached = watch.counters.get(kind, 0)
        if reached * 1000 < floor * messages:
            raise Finding(f"too little is reached: {reached} {kind} in {messages} messages")
    look_at_remains(gateway, own, watch.own_votes, patience.settling)
    if wrong := gateway.stop():
        raise Finding(wrong)
    return {
        "sent": sender.sent_messages, "read": watch.read_messages(), "sessions": sender.number,
        "slowest": watch.slowest_seconds, "silent": watch.silent_seconds, **watch.counters,
        **{f"answers {status}": count for status, count in sender.statuses.items()},
    }  # fmt: skip


def judge_reading(gateway: GatewayProcess, watcher: Watcher, sender: Sender, messages: int):
    """Enough is sent. What the watcher knew may be older than that: the next it says decides."""
    now = time.monotonic()
    while (watch := watcher.latest()).metrics_at < now:
        sender.turn(begins=False)
        look_for_findings(gateway, watch, sender)
    if (read := watch.read_messages()) < messages:
        raise Finding(f"too little is read: {read} of {sender.sent_messages} messages")


def look_at_remains(gateway: GatewayProcess, own: Target, votes: int, seconds: float):
    """What sessions have left is gone as soon as the gateway knows that they are."""
    deadline = time.monotonic() + seconds
    try:
        while (remains := gateway.remains(own, votes)) is not None:
            if time.monotonic() > deadline:
                raise Finding(f"left behind: {remains}")
            time.sleep(CHECK_SECONDS)
    except OSError as error:
        raise Finding(gateway.last_words() or f"no answer afterwards: {error!r}") from error


def look_for_findings(gateway: GatewayProcess, watch: Watch, sender: Sender):
    if found := gateway.failure():
        raise Finding(found)
    if watch.finding is not None:
        raise Finding((watch.was_cut_off and gateway.last_words()) or watch.finding)
    if sender.faults:
        raise Finding(f"an answer {sender.faults[0]}")


def run(
    binary: str, name: str, messages: int, seed: int, patience: Patience, findings: Path
) -> bool:
    """Says what came of it. Whether all was well."""
    began = time.monotonic()
    totals: dict[str, float] = {}
    for number, first in enumerate(range(0, messages, ROUND_MESSAGES)):
        count = min(ROUND_MESSAGES, messages - first)
        with tempfile.TemporaryDirectory() as folder:
            gateway = None
            try:
                gateway = GatewayProcess(binary, Path(folder))
                figures = attack(gateway, count, f"{seed}/{number}", patience)
            except (Finding, StartFailure) as finding:
                kept = keep(Path(folder), findings / f"messages-{name}.log")
                print(f"{name}: FOUND in round {number} of seed {seed}, log in {kept}\n{finding}")
                return False
            finally:
                if gateway is not None:
                    gateway.kill()
        for kind, figure in figures.items():
            merge = max if kind in ("slowest", "silent") else float.__add__
            totals[kind] = merge(totals.get(kind, 0.0), float(figure))
        print(summary(name, totals, time.monotonic() - began), flush=True)
    return True


def keep(folder: Path, place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    if (folder / "log").exists():
        shutil.copy(folder / "log", place)
    return place


def summary(name: str, totals: dict[str, float], seconds: float) -> str:
    kinds = ("sessions", "requests", "malformed", "handshakes", "messages", "protocol closes",
             "ballots")  # fmt: skip
    shown = ", ".join(f"{int(totals.get(kind, 0)):,} {kind}" for kind in kinds)
    return (
        f"{name}: {int(totals['read']):,} messages read in {seconds:.0f} s, of"
        f" {int(totals['sent']):,} sent ({shown}); slowest answer {totals['slowest']:.2f} s,"
        f" longest silence {totals['silent']:.2f} s; clean"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", help="the gateway")
    parser.add_argument("name", help="what to call it: address, thread")
    parser.add_argument("--messages", type=int, default=10_000, help="that the gateway is to read")
    parser.add_argument("--seed", type=int, default=1, help="the same sends the same")
    parser.add_argument("--bound", type=float, default=1.0, help="seconds for any answer")
    parser.add_argument("--settling", type=float, default=60.0, help="seconds after the last")
    parser.add_argument("--findings", type=Path, default=Path(".build/fuzz/findings"))
    arguments = parser.parse_args()
    binary = os.path.abspath(arguments.binary)
    patience = Patience(arguments.bound, arguments.settling)
    well = run(binary, arguments.name, arguments.messages, arguments.seed, patience,
               arguments.findings)  # fmt: skip
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())

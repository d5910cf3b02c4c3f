"""Run in a network namespace of its own: viewers by the hundred at an address that then is gone.
Nothing says so, neither FIN nor RST: the gateway has to find out."""

import subprocess
import sys
import time
from pathlib import Path

from gateway import Gateway, limits
from onlookers import Onlookers
from wire import Wire, upgrade

ELSEWHERE = "10.9.9.9"


def ip(*words: str):
    subprocess.run(["ip", *words], check=True)


def connections(gateway: Gateway) -> int:
    """Established connections with the vanished address, as the kernel holds them."""
    remote = "".join(f"{int(part):02X}" for part in reversed(ELSEWHERE.split(".")))
    with open(f"/proc/{gateway.process.pid}/net/tcp") as table:
        return sum(remote in line.split()[2] and line.split()[3] == "01" for line in table)


def main(folder: Path, count: int, period: int):
    """`period` is that of the gateway's pings, in seconds."""
    ip("link", "set", "lo", "up")
    ip("address", "add", f"{ELSEWHERE}/32", "dev", "lo")
    gateway = Gateway(folder, *limits(ping_period=f"{period}s")).start()
    try:
        with Onlookers(gateway) as onlookers:
            onlookers.vote()
            wires = []
            for _ in range(0, count, 50):
                some = [Wire(gateway, source=ELSEWHERE) for _ in range(50)]
                for wire in some:
                    wire.send(upgrade(f"/ws/polls/{onlookers.poll.id}/"))
                for wire in some:
                    assert wire.answer().status == 101
                wires += some
            assert connections(gateway) == count
            ip("address", "delete", f"{ELSEWHERE}/32", "dev", "lo")
            began = time.monotonic()
            worst = 0.0
            while connections(gateway) > 0:
                worst = max(worst, onlookers.vote())
                took = time.monotonic() - began
                assert took < 20 + 3 * period, f"{connections(gateway)} are kept after {took:.0f} s"
            print(f"reaped within {time.monotonic() - began:.1f} s, others {worst:.0f} ms at most")
            onlookers.vote()
        gateway.stop()
    finally:
        gateway.discard()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))

"""Viewers and a voter who do everything right, while others do not: what a fault costs them."""

import itertools
import time
from dataclasses import dataclass, field

from gateway import Gateway, Poll
from live import Viewer

_names = itertools.count()


@dataclass
class Latencies:
    """Milliseconds from sending a ballot to the last viewer's having its tally."""

    values: list[float] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Onlookers:
    """Viewers of a poll of their own. None may lose its connection or a tally, whatever happens."""

    def __init__(self, gateway: Gateway, count: int = 5):
        self.gateway = gateway
        self.poll: Poll = gateway.create_poll(title="What the others watch")
        self.viewers = [Viewer(gateway, f"/ws/polls/{self.poll.id}/") for _ in range(count)]
        self.votes = 0

    def __enter__(self):
        for viewer in self.viewers:
            viewer.until("snapshot")
        return self

    def __exit__(self, *_):
        for viewer in self.viewers:
            viewer.socket.close()

    def vote(self, seconds: float = 15) -> float:
        """One ballot until everybody has its tally, in milliseconds."""
        began = time.monotonic()
        self.gateway.cast(self.poll, 0, f"onlooker {next(_names)}")
        self.votes += 1
        for viewer in self.viewers:
            while viewer.until("tally", seconds)["total"] < self.votes:
                pass
        return (time.monotonic() - began) * 1000

    def watch(self, seconds: float, pause: float = 0.1, alive_within: float = 5) -> Latencies:
        """Votes on and on for so long, and the process says all the while that it lives."""
        latencies = Latencies()
        deadline = time.monotonic() + seconds
        with self.gateway.alive(alive_within):
            while time.monotonic() < deadline or len(latencies.values) < 3:
                latencies.values.append(self.vote())
                time.sleep(pause)
        return latencies

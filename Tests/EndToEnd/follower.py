"""A viewer that never gives up."""

import contextlib
import threading

from gateway import ANSWER_SECONDS, Gateway
from live import CONNECTION_LOST, Viewer


class Follower:
    """Follows one poll through reconnects in a thread of its own, each time with `?since=`, and
    checks that revisions and totals never fall. A fault is raised by `stop`."""

    def __init__(self, gateway: Gateway, poll):
        self.gateway, self.poll = gateway, poll
        self.revision = self.total = 0
        self.connections = 0
        self.fault: AssertionError | None = None
        self._stopped = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self):
        while not self._stopped.is_set():
            if not self.gateway.up.wait(0.2):
                continue
            try:
                path = f"/ws/polls/{self.poll.id}/?since={self.revision}"
                with Viewer(self.gateway, path) as viewer:
                    self.connections += 1
                    while not self._stopped.is_set():
                        with contextlib.suppress(TimeoutError):
                            self._take(viewer.receive(0.2))
            except AssertionError as fault:
                self.fault = fault
                return
            except CONNECTION_LOST:
                continue

    def _take(self, message: dict):
        if message["type"] == "snapshot":
            revision, total = message["poll"]["revision"], message["poll"]["total_votes"]
        elif message["type"] == "tally":
            revision, total = message["revision"], message["total"]
            assert sum(message["counts"]) == total, message
        else:
            return
        assert revision >= self.revision, f"revision {self.revision}, then {message}"
        assert total >= self.total, f"total {self.total}, then {message}"
        with self._changed:
            self.revision, self.total = revision, total
            self._changed.notify_all()

    def wait_for_total(self, total: int, seconds: float = ANSWER_SECONDS):
        with self._changed:
            reached = self._changed.wait_for(lambda: self.total >= total or self.fault, seconds)
        assert reached and self.fault is None, f"total {self.total} of {total}, {self.fault}"

    def stop(self):
        self._stopped.set()
        self._thread.join(20)
        if self.fault:
            raise self.fault

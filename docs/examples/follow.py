#!/usr/bin/env python3
"""Follows polls until they are closed, through restarts and lost connections.

    python3 -m venv .venv && .venv/bin/pip install websockets
    .venv/bin/python docs/examples/follow.py http://127.0.0.1:8080 7 9

Prints a line for each change, with the counts in the order of the options. Nothing goes back: a
tally is whole and carries a revision, and what has no higher one than is known already is left out.
"""

import json
import random
import sys
import time

from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

AGAIN = {"overloaded", "storage_unavailable", "draining", "rate_limited"}


class Followed:
    """What is known of the polls, by id."""

    def __init__(self, polls: list[int]):
        self.open = set(polls)
        self.revisions: dict[int, int] = {}

    def take(self, message: dict):
        match message["type"]:
            case "snapshot":
                poll = message["poll"]
                # Hidden results are null.
                counts = [option["vote_count"] for option in poll["options"]]
                if self._is_new(poll["id"], poll["revision"]):
                    self._tell(poll["id"], poll["state"], poll["total_votes"], counts)
                if poll["state"] == "closed":
                    self.open.discard(poll["id"])
            case "tally":
                if self._is_new(message["poll_id"], message["revision"]):
                    self._tell(message["poll_id"], "open", message["total"], message["counts"])
            case "state" if message["state"] in ("closed", "deleted"):
                # The final tally came before it.
                print(message["poll_id"], message["state"], flush=True)
                self.open.discard(message["poll_id"])
            case "error" if message["code"] not in AGAIN:
                sys.exit(f"{message['code']}: {message['message']}")

    def _is_new(self, poll: int, revision: int) -> bool:
        if revision <= self.revisions.get(poll, 0):
            return False
        self.revisions[poll] = revision
        return True

    @staticmethod
    def _tell(poll: int, state: str, total, counts: list):
        print(poll, state, total, *counts, flush=True)


def follow(url: str, polls: list[int]):
    followed, failures = Followed(polls), 0
    while followed.open:
        delay = None  # until when to stay away, where a gateway that drains has said so
        try:
            with connect(url.replace("http", "ws", 1) + "/ws/") as socket:
                socket.send(json.dumps({"type": "subscribe", "poll_ids": sorted(followed.open)}))
                while followed.open:
                    message = json.loads(socket.recv())
                    if message["type"] == "draining":
                        delay = message["reconnect_in_ms"] / 1000
                    elif message["type"] == "snapshot":
                        failures = 0
                    followed.take(message)
        except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError) as lost:
            print(f"coming back: {lost}", file=sys.stderr)
            # Anything between nothing and the bound, so that not everybody comes back at once.
            time.sleep(delay or random.random() * min(30, 0.5 * 2**failures))
            failures += 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    follow(sys.argv[1], [int(word) for word in sys.argv[2:]])

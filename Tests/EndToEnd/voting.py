"""Ballots by the thousand, each cast until it is answered, across crashes of the gateway."""

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass

from websockets.sync.client import connect

from gateway import ANSWER_SECONDS, Gateway
from live import CONNECTION_LOST

PATIENCE_SECONDS = 120
# What a voter may simply send again (PROTOCOL.md, errors 503 and 504).
AGAIN = {"overloaded", "storage_unavailable", "draining", "commit_unknown"}


@dataclass(frozen=True)
class Ballot:
    voter: str
    option_id: int


def ballots_for(poll, names):
    """One ballot for each name, made when it is asked for; the choices go round."""
    return map(Ballot, names, itertools.cycle(poll.options))


def names_until(stop: threading.Event, prefix: str = "voter"):
    """Names without end, until `stop` is set."""
    for number in itertools.count():
        if stop.is_set():
            return
        yield f"{prefix} {number}"


class Receipts:
    """What the voters were told: the first final answer to each ballot. Any thread may add."""

    def __init__(self):
        self.outcomes: dict[Ballot, str] = {}
        self._changed = threading.Condition()

    def add(self, ballot: Ballot, outcome: str):
        with self._changed:
            self.outcomes.setdefault(ballot, outcome)
            self._changed.notify_all()

    def wait_for(self, count: int, seconds: float = 60):
        """Returns once `count` ballots are answered."""
        with self._changed:
            reached = self._changed.wait_for(lambda: len(self.outcomes) >= count, seconds)
        assert reached, f"{len(self.outcomes)} of {count} ballots answered in {seconds} s"

    def having(self, *outcomes: str) -> list[Ballot]:
        return [ballot for ballot, outcome in self.outcomes.items() if outcome in outcomes]

    def counts(self, poll) -> list[int]:
        """The counted ballots option by option, in the order of the poll's options."""
        marks = Counter(ballot.option_id for ballot in self.having("counted"))
        return [marks[option] for option in poll.options]


class Patience:
    """Bounds a loop of attempts, and waits while the gateway is away."""

    def __init__(self, gateway: Gateway):
        self.gateway = gateway
        self.deadline = time.monotonic() + PATIENCE_SECONDS

    def wait(self, seconds: float = 0.05):
        assert time.monotonic() < self.deadline, "a ballot was never answered"
        self.gateway.up.wait(1)
        threading.Event().wait(seconds)


def cast_over_http(gateway: Gateway, poll, ballots, receipts: Receipts):
    """Casts one ballot after another over a connection that is kept alive."""
    connection = None
    patience = Patience(gateway)
    for ballot in ballots:
        while True:
            try:
                connection = connection or http.client.HTTPConnection(
                    *gateway.address, timeout=ANSWER_SECONDS
                )
                document = {
                    "poll_id": poll.id,
                    "option_id": ballot.option_id,
                    "voter": ballot.voter,
                }
                connection.request(
                    "POST", "/votes/", json.dumps(document), {"Content-Type": "application/json"}
                )
                body = json.loads(connection.getresponse().read())
            except (OSError, http.client.HTTPException, ValueError):
                if connection is not None:
                    connection.close()
                connection = None
                patience.wait()
                continue
            outcome = body.get("status") or body["error"]["code"]
            if outcome not in AGAIN:
                receipts.add(ballot, outcome)
                break
            patience.wait()
    if connection is not None:
        connection.close()


def cast_over_websocket(gateway: Gateway, poll, ballots, receipts: Receipts, window: int = 32):
    """Casts ballots over one WebSocket, `window` of them unanswered at a time. After a lost
    connection the unanswered ones are sent again: the gateway must count each once."""
    source = enumerate(ballots)
    waiting: dict[str, Ballot] = {}
    patience = Patience(gateway)
    while True:
        try:
            with connect(
                f"{gateway.websocket_url}/ws/", proxy=None, compression=None, close_timeout=2
            ) as socket:
                for ref, ballot in waiting.items():
                    _send_ballot(socket, poll, ref, ballot)
                while True:
                    for number, ballot in itertools.islice(source, window - len(waiting)):
                        waiting[str(number)] = ballot
                        _send_ballot(socket, poll, str(number), ballot)
                    if not waiting:
                        return
                    _take_answer(socket, poll, waiting, receipts, patience)
        except CONNECTION_LOST:
            patience.wait()


def _send_ballot(socket, poll, ref: str, ballot: Ballot):
    socket.send(
        json.dumps(
            {
                "type": "vote",
                "ref": ref,
                "poll_id": poll.id,
                "option_ids": [ballot.option_id],
                "voter": ballot.voter,
            }
        )
    )


def _take_answer(socket, poll, waiting: dict, receipts: Receipts, patience: Patience):
    message = json.loads(socket.recv(timeout=ANSWER_SECONDS))
    if message["type"] not in ("ack", "error"):
        return
    ref = message["ref"]
    outcome = message["status"] if message["type"] == "ack" else message["code"]
    if outcome in AGAIN:
        patience.wait()
        _send_ballot(socket, poll, ref, waiting[ref])
    else:
        receipts.add(waiting.pop(ref), outcome)


def in_threads(*calls) -> list[threading.Thread]:
    """Starts each `(function, arguments…)` in a thread of its own."""
    threads = [
        threading.Thread(target=function, args=arguments, daemon=True)
        for function, *arguments in calls
    ]
    for thread in threads:
        thread.start()
    return threads


def start_voters(gateway: Gateway, poll, receipts: Receipts, names_of, each: int = 2):
    """Starts `each` threads that vote over HTTP and as many over WebSocket; `names_of(prefix)`
    gives one thread its voters, whose names begin with a prefix of its own."""
    return in_threads(
        *(
            (
                cast,
                gateway,
                poll,
                ballots_for(poll, names_of(f"{cast.__name__} {number}")),
                receipts,
            )
            for number in range(each)
            for cast in (cast_over_http, cast_over_websocket)
        )
    )


def join(threads, seconds: float = PATIENCE_SECONDS):
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.01, deadline - time.monotonic()))
        assert not thread.is_alive(), "a voter did not come to an end"

"""What a viewer sees over WebSocket, through PyPI `websockets`."""

import contextlib
import json
import re
import time

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

import described
from gateway import ANSWER_SECONDS, Gateway

# How a connection ends under a client, or fails to begin, when the gateway goes away.
CONNECTION_LOST = (OSError, EOFError, WebSocketException)

# A member that counts: none of these may reach whom the results are hidden from.
_COUNTS = re.compile(r'"(vote_count|total_votes|total)"\s*:\s*\d|"counts"\s*:\s*\[\s*\d')


class Viewer:
    """One WebSocket. `messages` keeps everything that came, in order, decoded; `text` as sent."""

    def __init__(self, gateway: Gateway, path="/ws/", *, token=None, cookie=None,
                 forwarded=None, **options):  # fmt: skip
        headers = {"Cookie": cookie} if cookie else {}
        if forwarded is not None:
            headers["X-Forwarded-For"] = forwarded
        if token is not None:
            options["subprotocols"] = ["pollstream.v1", f"bearer.{token}"]
        if gateway.authority is not None:
            options.setdefault("ssl", gateway.authority.client_context())
        self.socket = connect(
            gateway.websocket_url + path,
            additional_headers=headers,
            proxy=None,
            close_timeout=2,
            max_queue=None,  # always reads, so that it always answers pings
            **options,
        )
        self.messages: list[dict] = []
        self.text: list[str] = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, **message):
        self.socket.send(json.dumps(message))

    def receive(self, seconds: float = ANSWER_SECONDS) -> dict:
        """The next message, whatever it is."""
        text = self.socket.recv(timeout=seconds)
        message = json.loads(text)
        described.check_message(message)
        self.text.append(text)
        self.messages.append(message)
        return message

    def until(self, kind: str, seconds: float = ANSWER_SECONDS, **members) -> dict:
        """Reads on to the first message of this type whose members are as given."""
        deadline = time.monotonic() + seconds
        while True:
            message = self.receive(max(0.01, deadline - time.monotonic()))
            if message["type"] == kind and members.items() <= message.items():
                return message

    def ask(self, **message) -> dict:
        """Sends a message with a `ref` of its own and returns what answers it."""
        ref = message.setdefault("ref", f"r{len(self.messages)}-{time.monotonic_ns()}")
        self.send(**message)
        while True:
            answer = self.receive()
            if answer.get("ref") == ref:
                return answer

    def subscribe(self, *poll_ids: int, **members) -> list[dict]:
        """Subscribes and returns the snapshots, one for each poll."""
        self.send(type="subscribe", poll_ids=list(poll_ids), **members)
        return [self.until("snapshot") for _ in poll_ids]

    def vote(self, poll, *choices: int, voter=None, **members) -> dict:
        """Casts a ballot and returns its ack or error."""
        message = {"poll_id": poll.id, "option_ids": [poll.options[index] for index in choices]}
        if voter is not None:
            message["voter"] = voter
        return self.ask(type="vote", **message, **members)

    def said_by_now(self) -> list[dict]:
        """What comes before the answer to a ping: all that the gateway had to say until then."""
        seen = len(self.messages)
        self.send(type="ping")
        self.until("pong")
        return self.messages[seen:-1]

    def close_code(self, seconds: float = ANSWER_SECONDS) -> int:
        """Reads to the end and returns the code the gateway closed with."""
        with contextlib.suppress(ConnectionClosed):
            deadline = time.monotonic() + seconds
            while True:
                self.receive(max(0.01, deadline - time.monotonic()))
        return self.socket.close_code


def tallies(messages: list[dict], poll_id: int) -> list[dict]:
    return [m for m in messages if m["type"] == "tally" and m["poll_id"] == poll_id]


def check_hides_counts(text: str, *secrets: int):
    """No member of `text` counts anything, and none of these numbers stands in it alone."""
    assert not _COUNTS.search(text), text
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "", text)
    for secret in secrets:
        assert not re.search(rf"(?<![\w.]){secret}(?![\w.])", text), f"{secret} in {text}"

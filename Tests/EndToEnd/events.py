"""What a viewer sees over Server-Sent Events."""

import json

import requests

import described
from gateway import Gateway


class EventStream:
    """`GET /polls/{id}/events/`, read line by line (WHATWG HTML, section 9.2)."""

    def __init__(self, gateway: Gateway, poll, *, token=None, last_event_id=None, seconds=15):
        headers = {"Accept": "text/event-stream"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if last_event_id is not None:
            headers["Last-Event-ID"] = str(last_event_id)
        self.answer = requests.get(
            f"{gateway.url}{poll.path}events/",
            headers=headers,
            stream=True,
            timeout=seconds,
            proxies={"http": "", "https": ""},
            verify=gateway.verify,
        )
        self._lines = self.answer.iter_lines(chunk_size=1)
        self.comments: list[str] = []
        self.text: list[str] = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answer.close()

    def line(self) -> str:
        line = next(self._lines).decode()
        self.text.append(line)
        return line

    def receive(self) -> dict:
        """The next event as `{"event", "id", "data"}`, its data decoded."""
        fields: dict = {}
        while True:
            line = self.line()
            if line.startswith(":"):
                self.comments.append(line)
            elif line:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            elif "data" in fields:
                message = json.loads(fields["data"])
                described.check_event(fields, message)
                return fields | {"data": message}
            else:
                fields = {}

    def until(self, kind: str) -> dict:
        while True:
            event = self.receive()
            if event["event"] == kind:
                return event
